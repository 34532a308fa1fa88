"""What a round of a described device took: energy, and memory of the device and of a loader."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benching import one
from described_device import (
    Device,
    measured,
    offer,
    payload,
    stored,
)

from bench.process import launch
from bench.process.memory import MemoryWatch
from bench.rounds import round_record


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
