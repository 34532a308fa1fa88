"""What the GPU of a round did meanwhile: clock, throttling and who else computes on it, as NVML tells."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bench.doubts import Doubt, doubt
from bench.machine import nvml
from bench.machine.conditions import CLOCK_SHARE
from bench.machine.disturbance import Disturbance
from pose.errors import Unsupported

POWER_CAP = "its power cap"
SLOWED_BY = {
    0x04: POWER_CAP,
    0x08: "the hardware",
    0x20: "heat, by the driver",
    0x40: "heat, by the hardware",
    0x80: "the power supply",
}
"""Bits of nvmlDeviceGetCurrentClocksThrottleReasons (nvml.h); the others are idleness and settings."""


@dataclass(frozen=True)
class GpuConditions:
    """The GPU that CUDA calls device 0, at one moment; what the driver does not tell is None."""

    sm_mhz: int | None
    slowed_by: list[str] | None
    processes: int | None
    """Those that compute on it, this one among them."""


def read() -> GpuConditions | None:
    """Return what the GPU does now; None without NVML, as the round's energy says why."""
    try:
        with nvml.library() as library:
            handle = nvml.device(library)
            reasons = _told(library, "nvmlDeviceGetCurrentClocksThrottleReasons", handle)
            running = _told(library, "nvmlDeviceGetComputeRunningProcesses", handle)
            return GpuConditions(
                sm_mhz=_told(library, "nvmlDeviceGetClockInfo", handle, getattr(library, "NVML_CLOCK_SM", 1)),
                slowed_by=None
                if reasons is None
                else [why for bit, why in SLOWED_BY.items() if reasons & bit],
                processes=None if running is None else len(running),
            )
    except Unsupported:
        return None


def _told(library: ModuleType, name: str, *given: Any) -> Any:
    """Return what a function of NVML says; None where this card or driver does not know it."""
    try:
        return getattr(library, name)(*given)
    except (library.NVMLError, AttributeError):
        return None


def disturbances(before: GpuConditions | None, after: GpuConditions | None) -> list[Disturbance]:
    """Return what others did to the measurement on the GPU between two readings; [] where nothing known did.

    A full load brings about heat, and a power cap always: the clock gives way to them. So what slowed the GPU
    is others' doing only where others computed on it, and the power cap never.
    """
    if before is None or after is None:
        return []
    found, causes, users = [], _causes(before, after), _others(before, after)
    if users and (slowed := [why for why in causes if why != POWER_CAP]):
        found.append(Disturbance.of(1 + len(slowed), _slowed(slowed)))
    own = POWER_CAP in causes or (causes and not users)
    if not own and (moved := _clock_moved(before, after)) > CLOCK_SHARE:
        found.append(Disturbance.of(moved / CLOCK_SHARE, _clock(before, after)))
    if users:
        others = f"{users} other process{'es' if users > 1 else ''}"
        found.append(Disturbance.of(1 + users, doubt("gpu users", others)))
    return found


def doubts(before: GpuConditions | None, after: GpuConditions | None) -> list[Doubt]:
    """Return why what was measured on the GPU between two readings is in doubt; [] where nothing known is."""
    if before is None or after is None:
        return []
    told = [one.doubt for one in disturbances(before, after)]
    slowed = [why for why in _causes(before, after) if _others(before, after) == 0 or why == POWER_CAP]
    told += [_slowed(slowed)] if slowed else []
    told += [_clock(before, after)] if _clock_moved(before, after) > CLOCK_SHARE else []
    return list(dict.fromkeys(told))


def _others(before: GpuConditions, after: GpuConditions) -> int:
    """Return how many other processes computed on the GPU."""
    # In a container the process IDs may be the host's, so that one's own is not to be told by its number.
    return max(0, max(before.processes or 0, after.processes or 0) - 1)


def _slowed(causes: list[str]) -> Doubt:
    return doubt("gpu power cap" if POWER_CAP in causes else "gpu slowed", " and ".join(causes))


def _causes(before: GpuConditions, after: GpuConditions) -> list[str]:
    return list(dict.fromkeys([*(before.slowed_by or []), *(after.slowed_by or [])]))


def _clock_moved(before: GpuConditions, after: GpuConditions) -> float:
    """Return by what part of itself the clock moved; 0 where it is not told."""
    return abs(after.sm_mhz / before.sm_mhz - 1) if before.sm_mhz and after.sm_mhz else 0.0


def _clock(before: GpuConditions, after: GpuConditions) -> Doubt:
    return doubt("gpu clock", before.sm_mhz or 0, after.sm_mhz or 0)
