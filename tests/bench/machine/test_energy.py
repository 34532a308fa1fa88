"""Energy by a described NVML: subtracted, absent with the reason, never 0 for what is unknown."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.machine import energy, gpu_conditions, nvml
from bench.machine.energy import Energy, Reading


class FakeNvml(ModuleType):
    """nvidia-ml-py's functions on two GPUs; what is in `broken` raises."""

    class NVMLError(Exception):
        pass

    def __init__(self, broken: set[str] | None = None):
        super().__init__("pynvml")
        self.broken, self.opened, self.millijoules = broken or set(), 0, 5_000_000
        self.processes: list[Any] = []
        self.throttled = 1

    def _may_fail(self, name: str) -> None:
        if name in self.broken:
            raise self.NVMLError("Not Supported")

    def nvmlInit(self) -> None:
        self._may_fail("init")
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"index {index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        self._may_fail("energy")
        self.millijoules += 6_000
        return self.millijoules

    NVML_CLOCK_SM = 1

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        self._may_fail("clock")
        return 1700 + kind

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        self._may_fail("throttling")
        return self.throttled

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:
        self._may_fail("processes")
        return self.processes if handle == "index 1" else []


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    library = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return library


def test_the_counter_is_read_in_joules_and_nvml_is_closed(fake: FakeNvml) -> None:
    found = energy.read()
    assert (found.counter_j, found.reason) == (5006.0, None)
    assert fake.opened == 0


def test_idle_power_is_what_the_counter_gains(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0])
    monkeypatch.setattr(energy, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda s: None))
    assert energy.idle_power_w(2.0) == (3.0, None)


def test_idle_energy_is_subtracted() -> None:
    found = energy.spent(Reading(0.0, 100.0, None), Reading(10.0, 1600.0, None), idle_w=50.0)
    assert found == Energy(1000.0, None)


@pytest.mark.parametrize(
    ("before", "after", "idle_w", "reason"),
    [
        (Reading(0, None, "no NVML here"), Reading(1, 5.0, None), 1.0, "no NVML here"),
        (Reading(0, 5.0, None), Reading(1, None, "gone"), 1.0, "gone"),
        (Reading(0, 5.0, None), Reading(1, 9.0, None), None, "idle power"),
        (Reading(0, 5.0, None), Reading(1, 1.0, None), 1.0, "went back"),
    ],
)
def test_what_is_unknown_is_none_with_the_reason(
    before: Reading, after: Reading, idle_w: float | None, reason: str
) -> None:
    found = energy.spent(before, after, idle_w)
    assert found.energy_j is None
    assert found.reason is not None
    assert reason in found.reason


@pytest.mark.parametrize("broken", ["init", "energy"])
def test_a_gpu_without_the_counter_has_a_reason(fake: FakeNvml, broken: str) -> None:
    fake.broken = {broken}
    found = energy.read()
    assert found.counter_j is None
    assert found.reason is not None
    assert "Not Supported" in found.reason
    assert energy.idle_power_w(0.0) == (None, found.reason)
    assert fake.opened == 0


def test_without_the_package_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy.read().reason == "nvidia-ml-py is not installed: pip install nvidia-ml-py"


@pytest.mark.parametrize(
    ("visible", "handle"),
    [(None, "index 0"), ("1,0", "index 1"), ("GPU-8a", "GPU-8a"), ("", None), ("-1", None), ("MIG-3", None)],
)
def test_the_gpu_is_the_one_that_cuda_sees(
    fake: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str | None, handle: str | None
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if handle is None:
        assert "names no whole GPU" in str(energy.read().reason)
    else:
        assert nvml.device(fake) == handle


def test_users_are_the_processes_on_any_gpu(fake: FakeNvml) -> None:
    assert nvml.users() == []
    fake.processes = [SimpleNamespace(pid=7)]
    assert nvml.users() == [nvml.User(1, 7)]
    fake.broken = {"processes"}
    assert nvml.users() == []


def test_a_gpu_s_clock_throttling_and_users_are_read(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_conditions.read() == gpu_conditions.GpuConditions(1701, [], 0), "idleness (1) slows nothing"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    fake.throttled, fake.processes = 0x04 | 0x40, [SimpleNamespace(pid=1), SimpleNamespace(pid=2)]
    found = gpu_conditions.read()
    assert found == gpu_conditions.GpuConditions(1701, ["its power cap", "heat, by the hardware"], 2)
    fake.broken = {"clock", "throttling", "processes"}
    assert gpu_conditions.read() == gpu_conditions.GpuConditions(None, None, None)
    fake.broken = {"init"}
    assert gpu_conditions.read() is None


QUIET = gpu_conditions.GpuConditions(1700, [], 1)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (QUIET, []),
        (None, []),
        (gpu_conditions.GpuConditions(None, None, None), []),
        (replace(QUIET, sm_mhz=1640), []),
        (replace(QUIET, sm_mhz=1500), ["the GPU's clock moved from 1700 to 1500 MHz"]),
        (replace(QUIET, slowed_by=["its power cap"]), ["the GPU was slowed by its power cap"]),
        (
            replace(QUIET, sm_mhz=1500, slowed_by=["its power cap", "heat, by the driver"]),
            [
                "the GPU was slowed by its power cap and heat, by the driver",
                "the GPU's clock moved from 1700 to 1500 MHz",
            ],
        ),
        (replace(QUIET, processes=2), ["1 other process computed on the GPU"]),
    ],
)
def test_what_a_gpu_did_meanwhile_is_a_doubt(
    after: gpu_conditions.GpuConditions | None, expected: list[str]
) -> None:
    assert [one.text for one in gpu_conditions.doubts(QUIET, after)] == expected


@pytest.mark.parametrize(
    ("seen", "causes"),
    [
        ({"slowed_by": ["heat, by the driver"], "sm_mhz": 1500}, []),
        ({"slowed_by": ["its power cap"], "sm_mhz": 1500}, []),
        ({"sm_mhz": 1500}, ["gpu clock"]),
        ({"slowed_by": ["heat, by the driver"], "processes": 2}, ["gpu slowed", "gpu users"]),
        ({"slowed_by": ["its power cap"], "processes": 2, "sm_mhz": 1500}, ["gpu users"]),
    ],
)
def test_what_a_full_load_does_to_its_gpu_is_no_disturbance_but_beside_other_users(
    seen: dict[str, Any], causes: list[str]
) -> None:
    after = replace(QUIET, **seen)
    assert [one.cause for one in gpu_conditions.disturbances(QUIET, after)] == causes
    said = gpu_conditions.doubts(QUIET, after)
    assert len(said) == len(set(said)) >= max(1, len(causes))
