"""What a cell's rounds come to: a percentile of too few queries is null, of whatever durations."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import run_folders

from bench.cells.protocol import Protocol
from bench.statistics import samples
from bench.verdicts import cell_figures

PROTOCOL = Protocol(profile="quick", percentiles=(50, 90))


def figures(scenario: str, raw: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the stats of a cell of two rounds, each with the same raw durations (n,) in nanoseconds."""
    axes = run_folders.cell(scenario)
    by_name = {
        f"{name.removesuffix('_ns')}_ms": samples.latency(ns)["latency_ms"] for name, ns in raw.items()
    }
    rounds = run_folders.result(axes, [5.0, 5.0]).rounds
    rounds = [msgspec.structs.replace(one, stats=by_name) for one in rounds]
    return cell_figures.figures(axes, PROTOCOL, rounds, [raw, raw])


@pytest.mark.parametrize(("of_a_round", "enough"), [(31, False), (32, True)])
def test_a_steps_p90_needs_64_steps_in_all_rounds(of_a_round: int, enough: bool) -> None:
    found = figures("train", {"step_ns": np.arange(1, of_a_round + 1) * 1_000_000})
    step_ms, nulls = found["step_ms"], found["nulls"]
    assert isinstance(step_ms, dict)
    assert step_ms["p50"] == 16.0
    assert step_ms["p90"] == (29.0 if enough else None)
    assert nulls == ({} if enough else {"step_ms.p90": "62 queries in all rounds, needs 64"})


def test_what_one_round_alone_has_found_is_the_cells() -> None:
    """`quick` takes a training step apart in the first round alone."""
    axes = run_folders.cell("train")
    first, *later = run_folders.result(axes, [5.0, 5.0, 6.0]).rounds
    parted = msgspec.structs.replace(first, stats={"phases_ms": {"forward": 2.0, "to_device": None}, "n": 7})
    later = [msgspec.structs.replace(one, stats={"n": 9}) for one in later]
    found = cell_figures.figures(axes, PROTOCOL, [parted, *later], [{}, {}, {}])
    assert found["phases_ms"] == {"forward": 2.0, "to_device": None}


def test_the_devices_clock_is_under_the_rule_of_the_hosts() -> None:
    durations_ns = np.arange(1, 11) * 1_000_000
    found = figures("latency", {"latency_ns": durations_ns, "device_ns": durations_ns // 2})
    latency_ms, device_ms = found["latency_ms"], found["device_ms"]
    assert isinstance(latency_ms, dict)
    assert isinstance(device_ms, dict)
    assert (latency_ms["p50"], latency_ms["p90"]) == (5.0, None)
    assert (device_ms["p50"], device_ms["p90"], device_ms["max"]) == (2.5, None, 5.0)
    few = "20 queries in all rounds, needs 64"
    assert found["nulls"] == {"p90": few, "device_ms.p90": few}


@pytest.mark.parametrize(("scenario", "images"), [("throughput", 8), ("latency", 1), ("data", 1)])
def test_energy_is_told_for_an_image_since_windows_are_as_long_for_every_arm(
    scenario: str, images: int
) -> None:
    axes = replace(run_folders.cell(scenario), batch=8 if images == 8 or scenario == "data" else 1)
    rounds = [
        msgspec.structs.replace(one, energy_j=joules, count=count)
        for one, joules, count in zip(
            run_folders.result(axes, [5.0] * 3).rounds, (30.0, 10.0, None), (100, 100, 7), strict=True
        )
    ]
    found = cell_figures.figures(axes, PROTOCOL, rounds, [])
    assert found["energy_j"] == 40.0
    assert found["energy_mj_per_image"] == pytest.approx(1e3 * 40.0 / (200 * images))
    absent = [msgspec.structs.replace(one, energy_j=None) for one in rounds]
    nothing = cell_figures.figures(axes, PROTOCOL, absent, [])
    assert (nothing["energy_j"], nothing["energy_mj_per_image"]) == (None, None)
