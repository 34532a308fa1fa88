"""What all rounds of a cell come to: its figure and the interval of it, pooled percentiles, validity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.cells.cell import Cell
from bench.cells.protocol import Protocol
from bench.cells.scenarios import SCENARIOS
from bench.run.results import Round, counting
from bench.statistics import paired
from bench.statistics import samples as samples_
from bench.statistics import validity as validity_
from bench.statistics.validity import Steadiness, Validity

BESIDE = {"device_ms": "device_ns", "device_block_ms": "device_block_ns", "step_ms": "step_ns"}
"""Durations whose percentiles stand beside a cell's value, and the raw samples that they are pooled of."""


def figures(
    cell: Cell, protocol: Protocol, rounds: list[Round], samples: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, Any]:
    """Return a cell's stats over those of its rounds that count; {} without any.

    samples: raw nanoseconds of each round, by name, or [] without any. "value" is the cell's one figure:
    the geometric mean of the rounds' values, which are medians or rates; "interval" is its 95 % t interval
    over rounds, null with fewer than two. Where it is a time it stands as "p50" of latency_ms too. "nulls"
    has why a pooled percentile is null: "p99" of latency_ms, "step_ms.p99" of another.
    """
    if not rounds:
        return {}
    asked = SCENARIOS[cell.scenario]
    if not asked.timed:
        return dict(rounds[-1].stats)
    kept = counting(rounds)
    samples = [raw for one, raw in zip(rounds, samples, strict=False) if any(one is other for other in kept)]
    rounds = kept
    values = [one.value for one in rounds if one.value]
    found: dict[str, Any] = {**_merged([one.stats for one in rounds]), **_figure(values)}
    if not asked.less_is_faster:
        found[asked.figure] = found["value"]
    else:
        known = dict(found.get(asked.figure, {}))
        if raw := _named("latency_ns", samples):
            known, found["nulls"] = _percentiles(raw, protocol)
        found[asked.figure] = known | {"p50": found["value"]}
    for name, of in BESIDE.items():
        if name in found and (raw := _named(of, samples)):
            found[name], nulls = _percentiles(raw, protocol)
            found["nulls"] = found.get("nulls", {}) | {f"{name}.{p}": why for p, why in nulls.items()}
    found["n"] = sum(one.count for one in rounds)
    for name in ("peak_rss_bytes", "peak_pss_bytes", "peak_device_bytes"):
        seen = [size for one in rounds if (size := getattr(one, name)) is not None]
        found[name] = max(seen) if seen else None
    return found | _energy(cell, rounds)


def _named(name: str, samples: Sequence[Mapping[str, np.ndarray]]) -> list[np.ndarray]:
    """Return the raw samples (n,) of that name, of each round that has any."""
    return [one[name] for one in samples if name in one and len(one[name])]


def _energy(cell: Cell, rounds: list[Round]) -> dict[str, float | None]:
    """Return the joules of all rounds, and millijoules an image: windows are as long for every arm."""
    known = [one for one in rounds if one.energy_j is not None]
    joules = sum(one.energy_j or 0.0 for one in known) if known else None
    images = sum(one.count for one in known) * (1 if SCENARIOS[cell.scenario].of == "loader" else cell.batch)
    each = 1e3 * joules / images if joules is not None and images else None
    return {"energy_j": joules, "energy_mj_per_image": each}


def _merged(by_round: list[dict[str, Any]]) -> dict[str, Any]:
    """Return each figure's median over the rounds that have it; what is no number is the last one's."""
    merged: dict[str, Any] = {}
    for name, last in {name: value for one in by_round for name, value in one.items()}.items():
        given = [one[name] for one in by_round if name in one]
        if isinstance(last, dict):
            merged[name] = _merged([one for one in given if isinstance(one, dict)])
        elif isinstance(last, float):
            merged[name] = float(np.median([one for one in given if one is not None]))
        else:
            merged[name] = last
    return merged


def _figure(values: list[float]) -> dict[str, Any]:
    logs = [math.log(value) for value in values]
    interval = [math.exp(end) for end in samples_.t_interval(logs)] if len(logs) > 1 else None
    return {"value": samples_.geometric_mean(values), "interval": interval}


def _percentiles(
    rounds: list[np.ndarray], protocol: Protocol
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return percentiles in ms of durations (n_r,) of rounds that weigh alike, and why some are null.

    "p50" is the geometric mean of the rounds' medians; the others pool the rounds' durations.
    """
    ms = [one / 1e6 for one in rounds]
    known = samples_.pooled_percentiles(ms, [percent for percent in protocol.percentiles if percent != 50])
    nulls = known.pop("nulls")
    low, high = (samples_.percentile_of_rounds(ms, percent) for percent in (25, 75))
    return {
        "p50": samples_.geometric_mean([samples_.percentile(one, 50) for one in ms]),
        **known,
        "mean": float(np.mean([one.mean() for one in ms])),
        "min": float(min(one.min() for one in ms)),
        "max": float(max(one.max() for one in ms)),
        "iqr": high - low,
    }, nulls


def validity(rounds: list[Round], wanted: int) -> Validity:
    """Return a cell's verdict from those of its rounds that count; rounds that are missing flag it.

    How a round that others disturbed drifted and spread is no other reason.
    """
    measured, rounds = len(rounds), counting(rounds)
    steady = [known for one in rounds if not one.disturbances and (known := _steadiness(one))]
    reach = _half_width(rounds) if steady else None
    verdicts = [one.validity for one in rounds]
    return validity_.cell_validity(verdicts, steady, reach, (measured, wanted))


def _half_width(rounds: list[Round]) -> float | None:
    """Return how far the interval of timed rounds reaches above its middle; None without one."""
    ends = _figure([one.value for one in rounds if one.value])["interval"]
    return paired.half_width(*ends) if ends else None


def _steadiness(one: Round) -> Steadiness | None:
    """Return how steady a round was; None where it is not timed, or an older version judged it by itself."""
    drift, spread = one.stats.get("drift"), one.stats.get("spread")
    return None if drift is None or spread is None else Steadiness(drift, spread)
