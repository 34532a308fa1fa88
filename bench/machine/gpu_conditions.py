"""What the GPU of a round did meanwhile: clock, throttling and who else computes on it, as NVML tells."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bench.machine import nvml
from bench.machine.conditions import CLOCK_SHARE
from pose.errors import Unsupported

SLOWED_BY = {
    0x04: "its power cap",
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


def doubts(before: GpuConditions | None, after: GpuConditions | None) -> list[str]:
    """Return why what was measured on the GPU between two readings is in doubt; [] where nothing known is."""
    if before is None or after is None:
        return []
    found = []
    causes = list(dict.fromkeys([*(before.slowed_by or []), *(after.slowed_by or [])]))
    if causes:
        found.append(f"the GPU was slowed by {' and '.join(causes)}")
    if before.sm_mhz and after.sm_mhz and abs(after.sm_mhz / before.sm_mhz - 1) > CLOCK_SHARE:
        found.append(f"the GPU's clock moved from {before.sm_mhz} to {after.sm_mhz} MHz")
    # In a container the process IDs may be the host's, so that one's own is not to be told by its number.
    others = max(before.processes or 0, after.processes or 0) - 1
    if others > 0:
        found.append(f"{others} other process{'es' if others > 1 else ''} computed on the GPU")
    return found
