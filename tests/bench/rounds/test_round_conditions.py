"""One round on a described machine: what it ran under is kept, and what is doubtful flags it."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from benching import bench, one
from described_device import (
    MEASURED,
    PROTOCOL,
    QUIET,
    Device,
    measured,
    payload,
    readings,
    stored,
)

from bench.machine import conditions, thread_pools
from bench.machine.conditions import Conditions
from bench.run import results


def test_a_quiet_round_is_valid_and_keeps_what_it_ran_under(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch
):
    before, after = readings(monkeypatch, device, involuntary_switches=9_000, voluntary_switches=40)
    found, _ = measured(device, payload(run_folder, "latency"))
    kept = stored(found, run_folder)
    assert kept.validity == results.Validity("VALID", [])
    assert (kept.conditions["before"], kept.conditions["after"]) == (before.to_dict(), after.to_dict())
    assert (kept.conditions["doubts"], kept.conditions["cores_used"]) == ([], 1.5)


def test_conditions_are_read_right_around_the_measured_phase(run_folder: Path, device: Device):
    measured(device, payload(run_folder, "latency"))
    first, last = (i for i, what in enumerate(device.log) if what == "read")
    assert device.log[:first].count("infer") == 1 + PROTOCOL["warmup_queries"]
    assert device.log[first:last].count("infer") == MEASURED
    assert "infer" not in device.log[last:]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"steal_s": 1.3}, "the hypervisor took 1.5% of the processors' time"),
        ({"busy_s": 70.0}, "other work took 25% of the processors' time"),
        ({"busy_s": None, "load_average": 4.0}, "the load average was 4.0, where the round used 1.5 cores"),
        ({"throttle_events": 9}, "the processors were throttled 2 times"),
        ({"quota_throttled_s": 0.9}, "the cgroup's quota held the round back for 0.4 s"),
        ({"clock_mhz": 2800.0}, "the clock moved from 3000 to 2800 MHz"),
        ({"cpu_s": 30.0, "busy_s": 75.2}, "2.50 cores were busy in a lane of 2 threads"),
    ],
)
def test_a_doubt_flags_the_round_with_its_reason(
    run_folder: Path,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    reason: str,
):
    readings(monkeypatch, device, **changed)
    found, _ = measured(device, payload(run_folder, "throughput"))
    kept = stored(found, run_folder)
    assert (kept.validity.verdict, kept.validity.reasons) == ("FLAGGED", [reason])
    assert [one.text for one in kept.validity.doubts] == [reason]
    assert kept.conditions["doubts"] == [reason]


@pytest.mark.parametrize(
    ("cores", "computed", "threads", "scenario", "doubt"),
    [
        (1.0, 1, 2, "latency", "1 of the lane's 2 threads computed"),
        (0.81, 2, 2, "throughput", "0.81 cores were busy in a lane of 2 threads"),
        (1.1, 2, 2, "latency", None),
        (4.0, 8, 8, "latency", "4.00 cores were busy in a lane of 8 threads"),
        (1.0, 1, 1, "latency", None),
        (0.2, 1, 2, "latency", None),
        (1.0, 1, 2, "pipeline", "1 of the lane's 2 threads computed"),
        (1.0, 2, 2, "pipeline", None),
    ],
)
def test_a_network_s_lane_whose_threads_did_not_all_compute_is_doubted(
    run_folder: Path,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    cores: float,
    computed: int,
    threads: int,
    scenario: str,
    doubt: str | None,
):
    used_s = 10 * cores
    readings(monkeypatch, device, cpu_s=QUIET.cpu_s + used_s, busy_s=QUIET.busy_s + used_s)
    monkeypatch.setattr(conditions, "threads", lambda *_: {"tasks": 9, "used": computed})
    asked = payload(run_folder, scenario)
    found, _ = measured(device, asked | {"spec": asked["spec"] | {"threads": threads}})
    assert found["conditions"]["doubts"] == ([doubt] if doubt else [])
    assert found["effective"]["threads_computed"] == computed


def test_a_pool_of_more_threads_than_the_lane_has_is_a_doubt():
    seen = [{"library": "libgomp.so.1", "threads": 4}, {"library": "libblas.so", "threads": 2}]
    seen.append({"library": "libodd.so", "threads": None})
    assert [one.text for one in thread_pools.doubts(seen, 2)] == ["libgomp.so.1 has 4 threads in a lane of 2"]
    assert thread_pools.doubts(seen, 4) == []


def test_a_real_round_stores_every_condition_before_and_after(run_folder: Path):
    [result] = bench(run_folder, one())
    [kept] = results.read(results.folder(run_folder) / f"{result.id}.json").rounds
    before, after = kept.conditions["before"], kept.conditions["after"]
    assert set(before) == set(after) == {field.name for field in fields(Conditions)}
    assert after["monotonic_s"] - before["monotonic_s"] >= 0.1
    assert after["voluntary_switches"] - before["voluntary_switches"] >= kept.count
    assert before["cpus"] == after["cpus"]
    assert set(kept.conditions["doubts"]) <= set(kept.validity.reasons)
    if sys.platform.startswith("linux"):
        told = ("steal_s", "busy_s", "load_average")
        assert all(isinstance(reading[name], float) for reading in (before, after) for name in told)
