"""Energy of a GPU by NVML's cumulative counter, idle subtracted. What is not known is None, never 0."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.machine import nvml
from pose.errors import Unsupported

IDLE_WINDOW_S = 3.0
"""The counter of some GPUs moves ten times a second: shorter windows would see steps."""


@dataclass(frozen=True)
class Reading:
    """The counter at one moment."""

    monotonic_s: float
    counter_j: float | None
    """Since the driver was loaded (nvmlDeviceGetTotalEnergyConsumption, from Volta on)."""
    reason: str | None
    """Why there is none."""


@dataclass(frozen=True)
class Energy:
    """What a GPU used between two readings."""

    energy_j: float | None
    """Beyond idle. It may come out below 0 where the work used no more than noise; it is not rounded up."""
    reason: str | None
    """Why energy_j is None."""


def read() -> Reading:
    """Return the energy counter of the GPU that CUDA calls device 0, or the reason why there is none."""
    try:
        with nvml.library() as library:
            millijoules = library.nvmlDeviceGetTotalEnergyConsumption(nvml.device(library))
            return Reading(time.monotonic(), millijoules / 1e3, None)
    except Unsupported as reason:
        return Reading(time.monotonic(), None, str(reason))


def idle_power_w(window_s: float = IDLE_WINDOW_S) -> tuple[float | None, str | None]:
    """Return what the GPU draws on average in the next `window_s` seconds, and why that is None.

    To be called while nothing runs on it.
    """
    before = read()
    if before.counter_j is None:
        return None, before.reason
    time.sleep(window_s)
    after = read()
    if after.counter_j is None:
        return None, after.reason
    return (after.counter_j - before.counter_j) / (after.monotonic_s - before.monotonic_s), None


def spent(before: Reading, after: Reading, idle_w: float | None) -> Energy:
    """Return the energy between two readings, without what an idle GPU would have used (`idle_w`, W)."""
    if before.counter_j is None or after.counter_j is None:
        return Energy(None, before.reason or after.reason)
    total_j = after.counter_j - before.counter_j
    if total_j < 0:
        return Energy(None, "the energy counter went back: the driver was loaded anew")
    if idle_w is None:
        return Energy(None, "the idle power is not known")
    return Energy(total_j - idle_w * (after.monotonic_s - before.monotonic_s), None)
