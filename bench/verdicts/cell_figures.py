"""What all rounds of a cell come to: pooled percentiles, the value and its interval, validity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.cells.cell import Cell
from bench.cells.protocol import Protocol
from bench.cells.scenarios import SCENARIOS
from bench.run.results import Round
from bench.statistics import samples as samples_
from bench.statistics import validity as validity_
from bench.statistics.validity import Validity

BESIDE = {"device_ms": "device_ns", "device_block_ms": "device_block_ns", "step_ms": "step_ns"}
"""Durations whose percentiles stand beside a cell's value, and the raw samples that they are pooled of."""


def figures(
    cell: Cell, protocol: Protocol, rounds: list[Round], samples: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return a cell's stats over its rounds; {} without any.

    samples: raw nanoseconds of all rounds, one after another, by name. "value" is the geometric mean
    of the rounds' values and "interval" its 95 % t interval over rounds, null with fewer than two.
    "nulls" has why a pooled percentile is null: "p99" of latency_ms, "step_ms.p99" of another.
    """
    if not rounds:
        return {}
    asked = SCENARIOS[cell.scenario]
    if not asked.timed:
        return dict(rounds[-1].stats)
    values = [one.value for one in rounds if one.value]
    found: dict[str, Any] = {**_merged([one.stats for one in rounds]), **_mean(values)}
    if asked.less_is_faster and "latency_ns" in samples:
        found[asked.figure], found["nulls"] = _percentiles(samples["latency_ns"], protocol)
    else:
        found[asked.figure] = found["value"]
    for name, raw in BESIDE.items():
        if name in found and raw in samples:
            found[name], nulls = _percentiles(samples[raw], protocol)
            found["nulls"] = found.get("nulls", {}) | {f"{name}.{p}": why for p, why in nulls.items()}
    found["n"] = sum(one.count for one in rounds)
    for name in ("peak_rss_bytes", "peak_device_bytes"):
        seen = [size for one in rounds if (size := getattr(one, name)) is not None]
        found[name] = max(seen) if seen else None
    return found | _energy(cell, rounds)


def _energy(cell: Cell, rounds: list[Round]) -> dict[str, float | None]:
    """Return the joules of all rounds, and millijoules an image: windows are as long for every arm."""
    known = [one for one in rounds if one.energy_j is not None]
    joules = sum(one.energy_j or 0.0 for one in known) if known else None
    images = sum(one.count for one in known) * (1 if SCENARIOS[cell.scenario].of == "loader" else cell.batch)
    each = 1e3 * joules / images if joules is not None and images else None
    return {"energy_j": joules, "energy_mj_per_image": each}


def _merged(by_round: list[dict[str, Any]]) -> dict[str, Any]:
    """Return each figure's median over rounds; what is no number is the last round's."""
    merged: dict[str, Any] = {}
    for name, last in by_round[-1].items():
        given = [one[name] for one in by_round if name in one]
        if isinstance(last, dict):
            merged[name] = _merged([one for one in given if isinstance(one, dict)])
        elif isinstance(last, float):
            merged[name] = float(np.median([one for one in given if one is not None]))
        else:
            merged[name] = last
    return merged


def _mean(values: list[float]) -> dict[str, Any]:
    logs = [math.log(value) for value in values]
    interval = [math.exp(end) for end in samples_.t_interval(logs)] if len(logs) > 1 else None
    return {"value": math.exp(float(np.mean(logs))), "interval": interval}


def _percentiles(
    durations_ns: np.ndarray, protocol: Protocol
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return pooled percentiles in ms of durations (n,), and why those of too few queries are null."""
    known = samples_.pooled_percentiles(durations_ns / 1e6, protocol.percentiles)
    nulls = known.pop("nulls")
    found = samples_.latency(durations_ns)["latency_ms"]
    kept = {name: found[name] for name in ("mean", "min", "max", "iqr")}
    return {**known, **kept}, nulls


def validity(rounds: list[Round], wanted: int) -> Validity:
    """Return a cell's verdict from its rounds'; rounds that are missing flag it."""
    found = validity_.cell_validity([one.validity for one in rounds])
    short = f"{len(rounds)} of {wanted} rounds are measured"
    return found if len(rounds) >= wanted else found.flagged(short)
