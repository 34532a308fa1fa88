"""One round on a described device and clock: where it waits, and how long it warms up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from described_device import (
    MEASURED,
    PROTOCOL,
    QUERY_NS,
    Device,
    measured,
    offer,
    payload,
    stored,
)

from bench.cells.scenarios import SCENARIOS
from bench.contract import RunnerSpec
from bench.scenarios import network
from bench.scenarios.base import Phases, RoundJob
from bench.scenarios.null_runner import NullRunner


class Timer:
    """The device's own clock: the n-th query has taken n ns."""

    def __init__(self, device: Device) -> None:
        self.device, self.count = device, 0

    def start(self) -> None:
        self.device.log.append("mark")

    def stop(self) -> int:
        self.device.log.append("mark")
        self.device.wait()
        self.count += 1
        return self.count


def offer_timer(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    """Let the runner have a clock of the device's own."""
    timer = Timer(device)
    offer(monkeypatch, device, device_timer=lambda self: timer, device_memory_bytes=lambda self: None)


# The clock


@pytest.mark.parametrize(
    ("scenario", "asked", "samples", "each_ns"),
    [
        ("latency", "infer", "latency_ns", QUERY_NS),
        ("throughput", "submit", "block_ns", network.BATCHES_IN_BLOCK * QUERY_NS),
        ("pipeline", "infer", "latency_ns", QUERY_NS),
    ],
)
def test_the_device_is_synchronised_at_both_ends_of_what_is_timed(
    run_folder: Path, device: Device, scenario: str, asked: str, samples: str, each_ns: int
):
    """A query that did not wait at its end would take 0, and the next one its time too."""
    found, arrays = measured(device, payload(run_folder, scenario))
    assert "unsynchronised" not in device.log
    count = len(arrays[samples])
    assert device.during("measured") == [asked, "synchronise"] * count
    assert device.log[device.log.index("read") - 1] in {"synchronise", "end of warmup"}
    assert device.during("warmup")[-1] == "synchronise"
    np.testing.assert_array_equal(arrays[samples], np.full(count, each_ns))
    assert found["count"] == count * (network.BATCHES_IN_BLOCK if scenario == "throughput" else 1)


@pytest.mark.parametrize("scenario", ["latency", "throughput"])
def test_the_measured_phase_begins_with_an_idle_device_whatever_was_left(
    run_folder: Path, device: Device, scenario: str
):
    made = SCENARIOS[scenario].workload.partition(":")[2]
    request = payload(run_folder, scenario)
    job = RoundJob(RunnerSpec(**request["spec"]), request["protocol"], request, Phases(device.heard))
    subject = getattr(network, made)(job)
    device.give("left over", 1)
    subject.start()
    assert device.log[-1] == "synchronise"
    assert device.queued_ns == 0


def test_the_network_s_span_of_a_pipeline_holds_the_wait_for_the_device(run_folder: Path, device: Device):
    _, arrays = measured(device, payload(run_folder, "pipeline", batch=2))
    assert set(arrays["network_ns"].tolist()) == {QUERY_NS}
    assert {int(arrays[f"{stage}_ns"].max()) for stage in ("decode", "warp", "keypoints")} == {0}


def test_a_pipeline_that_flips_waits_once_for_both_passes(run_folder: Path, device: Device):
    _, arrays = measured(device, payload(run_folder, "pipeline", flip_test=True))
    asked = [what for what in device.during("measured") if what != "unsynchronised"]
    assert asked == ["infer", "infer", "synchronise"] * len(arrays["latency_ns"])
    assert set(arrays["latency_ns"].tolist()) == {2 * QUERY_NS}


def test_the_device_s_own_times_stand_beside_the_host_s(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch
):
    offer_timer(monkeypatch, device)
    found, arrays = measured(device, payload(run_folder, "latency", "cuda"))
    assert set(arrays) == {"latency_ns", "device_ns"}
    assert device.during("measured") == ["infer", "synchronise"] * MEASURED, "nothing beside is in a query"
    np.testing.assert_array_equal(arrays["device_ns"], np.arange(network.DEVICE_S / QUERY_NS * 1e9) + 1)
    np.testing.assert_array_equal(arrays["latency_ns"], np.full(MEASURED, QUERY_NS))
    # The fiftieth of a hundred, by nearest rank.
    assert found["stats"]["device_ms"]["p50"] == 50 / 1e6
    assert found["value"] == found["stats"]["latency_ms"]["p50"] == 10.0
    assert stored(found, run_folder).stats["device_ms"] == found["stats"]["device_ms"]


def test_a_block_has_a_time_of_the_device_s_own_too(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch
):
    offer_timer(monkeypatch, device)
    found, arrays = measured(device, payload(run_folder, "throughput", "cuda"))
    assert set(arrays) == {"block_ns", "device_block_ns"}
    assert len(arrays["device_block_ns"]) >= network.DEVICE_CALLS
    assert "mark" not in device.during("measured")
    assert device.log.count("mark") == 2 * len(arrays["device_block_ns"])
    assert stored(found, run_folder).stats["device_block_ms"] == found["stats"]["device_block_ms"]


@pytest.mark.parametrize("told", [True, False])
def test_without_a_clock_of_the_device_there_are_no_device_times(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch, told: bool
):
    nothing = {"device_timer": lambda self: None, "device_memory_bytes": lambda self: None}
    offer(monkeypatch, device, **(nothing if told else {}))
    found, arrays = measured(device, payload(run_folder, "latency"))
    assert set(arrays) == {"latency_ns"}
    assert "device_ms" not in found["stats"]


# Warm-up


@pytest.mark.parametrize("scenario", ["latency", "throughput", "pipeline"])
@pytest.mark.parametrize(
    ("device_name", "asked", "queries"),
    [
        ("cpu", {"warmup_s": 0.0, "warmup_queries": 7, "warmup_gpu_s": 60.0}, 7),
        ("cpu", {"warmup_s": 2.0, "warmup_queries": 7, "warmup_gpu_s": 0.0}, 200),
        ("cpu", {"warmup_s": 0.4, "warmup_queries": 90, "warmup_gpu_s": 60.0}, 90),
        ("cuda", {"warmup_s": 60.0, "warmup_queries": 7, "warmup_gpu_s": 0.0}, 7),
        ("cuda", {"warmup_s": 0.0, "warmup_queries": 7, "warmup_gpu_s": 4.0}, 400),
        ("cuda", {"warmup_s": 60.0, "warmup_queries": 90, "warmup_gpu_s": 0.4}, 90),
    ],
)
def test_warm_up_lasts_for_its_seconds_and_its_queries_on_the_device_of_the_cell(
    run_folder: Path,
    device: Device,
    scenario: str,
    device_name: str,
    asked: dict[str, Any],
    queries: int,
):
    """A query takes 10 ms, a block of four batches 40."""
    found, arrays = measured(device, payload(run_folder, scenario, device_name, **asked))
    what = "submit" if scenario == "throughput" else "infer"
    if scenario == "throughput":
        queries = max(queries // network.BATCHES_IN_BLOCK, asked["warmup_queries"])
    warm, kept = device.during("warmup").count(what), device.during("measured").count(what)
    assert warm == queries
    assert kept == len(arrays["block_ns" if scenario == "throughput" else "latency_ns"])
    assert found["count"] == kept * (network.BATCHES_IN_BLOCK if scenario == "throughput" else 1)
    # The first inference is a phase of its own and no part of the warm-up.
    assert device.log.count(what) == 1 + warm + kept


def test_a_slow_warm_up_is_not_among_what_is_measured(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch
):
    calls = []

    def infer(self: Any, images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        warming = len(calls) <= 1 + PROTOCOL["warmup_queries"]
        device.give("infer", 50 if warming else 1)
        return NullRunner.infer(self, images)

    offer(monkeypatch, device, infer=infer)
    found, arrays = measured(device, payload(run_folder, "latency"))
    assert arrays["latency_ns"].max() == QUERY_NS
    assert found["count"] == MEASURED
    found, arrays = measured(device, payload(run_folder, "pipeline"))
    assert {len(values) for values in arrays.values()} == {found["count"]}
