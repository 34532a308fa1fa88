"""One round on a described device and clock: where it waits, how long it warms up, what it runs under."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from benching import bench, one

from bench.cells.scenarios import SCENARIOS
from bench.contract import RunnerSpec
from bench.machine import conditions, energy, thread_pools
from bench.machine.conditions import Conditions
from bench.process import launch
from bench.process.memory import MemoryWatch
from bench.rounds import round_record
from bench.run import results
from bench.scenarios import network, pipeline
from bench.scenarios import round as round_
from bench.scenarios.base import Phases, RoundJob
from bench.scenarios.null_runner import NullRunner
from pose import recipe as recipes

QUERY_NS = 10_000_000
PROTOCOL = {
    "warmup_s": 0.0, "warmup_gpu_s": 0.0, "warmup_queries": 3, "measured_s": 0.2, "measured_queries": 10,
    "images": 4,
}  # fmt: skip
MEASURED = 20
"""Queries of 10 ms in the measured phase."""
MOST = 5000
"""What a device is ever asked in one round."""


class Device:
    """A queue whose work takes 10 ms a batch, by a clock that nothing else moves; notes what it is asked."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.queued_ns = 0
        self.log: list[str] = []

    def clock(self) -> int:
        """Return now, in nanoseconds: what time.perf_counter_ns is replaced by."""
        return self.now_ns

    def give(self, what: str, batches: int) -> None:
        """Queue work; a call never waits for it."""
        assert len(self.log) < MOST, "the clock stands still: nothing waits for the device"
        if self.queued_ns:
            self.log.append("unsynchronised")
        self.log.append(what)
        self.queued_ns += batches * QUERY_NS

    def wait(self) -> None:
        """Return when the queue is empty."""
        self.now_ns += self.queued_ns
        self.queued_ns = 0

    def heard(self, name: str, said: dict[str, Any]) -> None:
        """Note the end of a phase, as the round tells its parent."""
        self.log.append(f"end of {said['phase']}")

    def during(self, phase: str) -> list[str]:
        """Return what was asked in a phase; of the measured one, since conditions were read."""
        end = self.log.index(f"end of {phase}")
        starts = [i for i in range(end) if self.log[i].startswith("end of ") or self.log[i] == "read"]
        return self.log[starts[-1] + 1 : end]


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


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """Return the device of every runner that `offer` offers; its clock is the round's, and all is quiet."""
    made = Device()
    monkeypatch.setattr(round_, "time", SimpleNamespace(perf_counter_ns=made.clock))
    monkeypatch.setattr(pipeline, "perf_counter_ns", made.clock)
    monkeypatch.setattr(network, "time", SimpleNamespace(perf_counter=lambda: made.now_ns / 1e9))
    monkeypatch.setattr(energy, "time", SimpleNamespace(monotonic=lambda: made.now_ns / 1e9))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    # The pools of the tests' own process are as large as the machine.
    monkeypatch.setattr(thread_pools, "view", lambda: {"pools": [], "os_threads": 3})
    # By the made-up clock nothing takes processor time.
    monkeypatch.setattr(conditions, "threads", lambda *_: {"tasks": 3, "used": 2})
    readings(monkeypatch, made)
    offer(monkeypatch, made)
    before = cv2.getNumThreads()
    yield made
    cv2.setNumThreads(before)


def offer(monkeypatch: pytest.MonkeyPatch, device: Device, **more: Any) -> None:
    """Let rounds find `here:Runner`, which works on a device and has `more` methods."""

    class Asynchronous(NullRunner):
        """Returns before the device has done anything."""

        def infer(self, images: np.ndarray) -> np.ndarray:
            device.give("infer", 1)
            return super().infer(images)

        def submit_all(self, batches: list[np.ndarray]) -> None:
            device.give("submit", len(batches))

        def synchronize(self) -> None:
            device.log.append("synchronise")
            device.wait()

    module = ModuleType("here")
    vars(module)["Runner"] = type("Runner", (Asynchronous,), more)
    monkeypatch.setitem(sys.modules, "here", module)


def payload(run: Path, scenario: str, device: str = "cpu", batch: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the request of one round; `changes` are the protocol's fields or the payload's."""
    spec = {
        "recipe": recipes.load(str(run / "recipe.yaml")).model_dump(mode="json"), "artifact": "",
        "mode": "eager", "precision": "fp32", "device": device, "threads": 2, "batch": batch,
        "scenario": scenario,
    }  # fmt: skip
    protocol = PROTOCOL | {name: changes.pop(name) for name in list(changes) if name in PROTOCOL}
    return {
        "runner": "here:Runner", "spec": spec, "protocol": protocol,
        "coco": json.loads((run / "run.json").read_text())["coco"], "split_file": str(run / "split.json"),
        "boxes": None, "samples": str(run / "samples.npz"), "idle_w": None, **changes,
    }  # fmt: skip


def measured(device: Device, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what one round gave, and its raw samples."""
    found = round_.cell(request, device.heard)
    with np.load(request["samples"]) as arrays:
        return found, dict(arrays)


def stored(value: dict[str, Any], run: Path) -> results.Round:
    """Return the round that a parent makes of what its child gave, read back from the run."""
    chosen = one().cells[0]
    empty = results.CellResult(
        id=chosen.id, status="ok", reason=None, axes=chosen, hash="", artifact_sha256=None,
        split_sha256="", command="",
    )  # fmt: skip
    made = round_record.round_of(value, launch.Outcome("ok", None, value, 1.0), "", 1, "p", empty)
    [kept] = results.read(results.save(run, msgspec.structs.replace(empty, rounds=[made]))).rounds
    return kept


def test_a_loader_s_worker_processes_count_as_its_memory():
    def held(scenario: str, **seen: Any) -> dict[str, Any]:
        memory = MemoryWatch(1, rss_bytes=900, **seen) if seen else None
        outcome = launch.Outcome("ok", None, {}, 1.0, memory)
        return round_record._memory({"peak_rss_bytes": 500}, outcome, one(scenario).cells[0])

    together = {"several": True, "pss_bytes": 700}
    assert held("data", **together) == {"peak_rss_bytes": 500, "peak_pss_bytes": 700}
    assert held("latency", **together) == {"peak_rss_bytes": 500}
    assert held("data", several=False) == held("data") == {"peak_rss_bytes": 500}
    untold = held("data", several=True)
    assert (untold["peak_rss_bytes"], untold["conditions"]) == (900, {"pss_null": round_record.NO_PSS})


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
    timer = Timer(device)
    told = {"device_timer": lambda self: timer, "device_memory_bytes": lambda self: None}
    offer(monkeypatch, device, **told)
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
    timer = Timer(device)
    told = {"device_timer": lambda self: timer, "device_memory_bytes": lambda self: None}
    offer(monkeypatch, device, **told)
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


# Conditions

QUIET = Conditions(
    monotonic_s=100.0, cpus=(0, 1), cpu_s=5.0, children_cpu_s=0.0, steal_s=1.0, busy_s=50.0,
    load_average=0.4, voluntary_switches=10, involuntary_switches=3, throttle_events=7,
    quota_throttled_s=0.5, clock_mhz=3000.0,
)  # fmt: skip


def readings(monkeypatch: pytest.MonkeyPatch, device: Device, **changed: Any) -> tuple[Conditions, ...]:
    """Describe a machine on which a round uses 1.5 cores for ten seconds; return what is read of it."""
    before = QUIET
    after = replace(QUIET, **({"monotonic_s": 110.0, "cpu_s": 20.0, "busy_s": 65.2} | changed))

    def read(like: Conditions | None = None) -> Conditions:
        device.log.append("read")
        return before if like is None else after

    monkeypatch.setattr(conditions, "read", read)
    return before, after


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


# Energy and memory of the device

DRAWN_W, IDLE_W = 30, 20.0


def counter(monkeypatch: pytest.MonkeyPatch, device: Device, *, broken: bool = False) -> None:
    """Describe a GPU that draws 30 W by the device's clock."""

    class NVMLError(Exception):
        pass

    def read(handle: int) -> int:
        if broken:
            raise NVMLError("Not Supported")
        return 5_000_000 + device.now_ns * DRAWN_W // 10**6

    library = ModuleType("pynvml")
    vars(library).update(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=read,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("scenario", ["latency", "throughput", "pipeline"])
def test_the_energy_of_a_round_is_the_measured_phase_s_beyond_idle(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch, scenario: str
):
    counter(monkeypatch, device)
    asked = {"warmup_gpu_s": 3.0, "idle_w": IDLE_W}
    found, arrays = measured(device, payload(run_folder, scenario, "cuda", **asked))
    spent_s = arrays["block_ns" if scenario == "throughput" else "latency_ns"].sum() / 1e9
    assert spent_s >= 0.2
    assert stored(found, run_folder).energy_j == pytest.approx((DRAWN_W - IDLE_W) * spent_s)


@pytest.mark.parametrize("why", ["no NVML", "no counter", "no idle power", "another device"])
def test_energy_that_no_counter_tells_is_none(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch, why: str
):
    if why != "no NVML":
        counter(monkeypatch, device, broken=why == "no counter")
    idle_w = None if why == "no idle power" else IDLE_W
    where = "cpu" if why == "another device" else "cuda"
    found, _ = measured(device, payload(run_folder, "latency", where, idle_w=idle_w))
    assert found["energy_j"] is None
    assert ("energy_null" in found["conditions"]) is (where == "cuda")
    assert stored(found, run_folder).energy_j is None


@pytest.mark.parametrize("scenario", ["latency", "throughput", "pipeline"])
@pytest.mark.parametrize("held", [3 * 2**30, None])
def test_the_most_memory_held_on_the_device_reaches_the_round(
    run_folder: Path, device: Device, monkeypatch: pytest.MonkeyPatch, scenario: str, held: int | None
):
    told = {"device_timer": lambda self: None, "device_memory_bytes": lambda self: held}
    offer(monkeypatch, device, **told)
    found, _ = measured(device, payload(run_folder, scenario, "cuda"))
    assert stored(found, run_folder).peak_device_bytes == held


def test_a_runner_that_tells_nothing_of_its_device_has_no_peak(run_folder: Path, device: Device):
    found, _ = measured(device, payload(run_folder, "latency"))
    assert found["peak_device_bytes"] is None
    assert found["peak_rss_bytes"] > 10 * 2**20
