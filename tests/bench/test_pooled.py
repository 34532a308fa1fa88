"""What a cell's rounds come to: a percentile of too few queries is null, of whatever durations."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import run_folders

from bench import pooled, stats
from bench.protocol import Protocol

PROTOCOL = Protocol(profile="quick", percentiles=(50, 90))


def figures(scenario: str, raw: dict[str, np.ndarray]) -> dict[str, object]:
    """Return the stats of a cell of two rounds, each with the same raw durations (n,) in nanoseconds."""
    axes = run_folders.cell(scenario)
    by_name = {f"{name.removesuffix('_ns')}_ms": stats.latency(ns)["latency_ms"] for name, ns in raw.items()}
    rounds = run_folders.result(axes, [5.0, 5.0]).rounds
    rounds = [msgspec.structs.replace(one, stats=by_name) for one in rounds]
    return pooled.figures(axes, PROTOCOL, rounds, {name: np.tile(ns, 2) for name, ns in raw.items()})


@pytest.mark.parametrize(("of_a_round", "enough"), [(31, False), (32, True)])
def test_a_steps_p90_needs_64_steps_in_all_rounds(of_a_round: int, enough: bool) -> None:
    found = figures("train", {"step_ns": np.arange(1, of_a_round + 1) * 1_000_000})
    step_ms, nulls = found["step_ms"], found["nulls"]
    assert isinstance(step_ms, dict)
    assert step_ms["p50"] == 16.0
    assert step_ms["p90"] == (29.0 if enough else None)
    assert nulls == ({} if enough else {"step_ms.p90": "62 queries in all rounds, needs 64"})


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
