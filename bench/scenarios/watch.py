"""What is watched while a cell is measured: conditions, processor time, memory."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench.cells.scenarios import SCENARIOS
from bench.machine import conditions, energy, gpu_conditions, thread_pools
from bench.machine.disturbance import Disturbance
from bench.scenarios.base import RoundJob
from bench.statistics.validity import Validity

EXTRA_CORES = 0.15
"""Beyond a lane's threads that a runtime's housekeeping may use before its round is flagged."""

COMPUTING_CORES = 0.8
"""The least that a process keeps busy which computes; less is waiting, such as for a device."""

HALF_IDLE = 0.525
"""Of a lane's threads: where no more cores were busy, about half of the lane did nothing."""


def judged(validity: Validity, doubts: list[str], faults: list[str]) -> Validity:
    """Return a round's verdict with doubts, which flag it, and faults, which make it invalid."""
    found = validity.flagged(*doubts)
    return Validity("INVALID", [*faults, *found.reasons]) if faults else found


def missing_threads(asked: int, told: int | None, processors: int) -> list[str]:
    """Return why a round did not run on its lane's threads; told is what the runtime says, if anything."""
    found = []
    if told and told != asked:
        found.append(f"the runtime says {told} threads, where the lane has {asked}")
    if processors < asked:
        found.append(f"{asked} threads shared {processors} processor{'s' if processors > 1 else ''}")
    return found


class Watch:
    """What a measured phase runs under: conditions, this process's threads, the GPU's energy."""

    def __init__(self, job: RoundJob) -> None:
        self.job = job
        self.energy: energy.Reading | None = None
        self.gpu: gpu_conditions.GpuConditions | None = None
        if job.spec.device == "cuda":  # the door to NVML is opened outside the window of the energy
            self.gpu = gpu_conditions.read()
            self.energy = energy.read()
        self.tasks = conditions.tasks()
        self.before = conditions.read()

    def end(self) -> tuple[dict[str, Any], list[Disturbance]]:
        """Return {"conditions", "energy_j"} of the time since this object was made, and what disturbed it."""
        after = conditions.read(self.before)
        used = conditions.threads(self.tasks, conditions.tasks())
        spent = (
            energy.spent(self.energy, energy.read(), self.job.payload.get("idle_w")) if self.energy else None
        )
        gpu = gpu_conditions.read() if self.gpu else None
        cores, seen = conditions.cores_used(self.before, after), thread_pools.view()
        others = conditions.disturbances(self.before, after)
        idle_by = others or conditions.held_back(self.before, after)
        found = {
            "before": self.before.to_dict(),
            "after": after.to_dict(),
            "doubts": [
                *conditions.doubts(self.before, after),
                *gpu_conditions.doubts(self.gpu, gpu),
                *self._doubts_of_threads(cores, used["used"], shared=bool(idle_by)),
                *thread_pools.doubts(seen["pools"], self.job.spec.threads),
            ],
            "cores_used": cores,
            "threads": {**used, **seen},
        }
        if self.gpu and gpu:
            found["gpu"] = {"before": asdict(self.gpu), "after": asdict(gpu)}
        if spent and spent.reason:
            found["energy_null"] = spent.reason
        disturbed = others + gpu_conditions.disturbances(self.gpu, gpu)
        return {"conditions": found, "energy_j": spent.energy_j if spent else None}, disturbed

    def _doubts_of_threads(self, cores: float, computed: int | None, *, shared: bool) -> list[str]:
        """Return the doubt that more cores than the lane's threads were busy, or that some did nothing.

        computed: how many threads did, None where the system does not tell; shared: whether others had some
        of the processors, or a quota or heat did, so that few busy cores say nothing of the threads.
        """
        asked, of = self.job.spec.threads, SCENARIOS[self.job.spec.scenario].of
        busy = f"{cores:.2f} cores were busy in a lane of {asked} threads"
        if of != "loader" and cores > asked + EXTRA_CORES:
            return [busy]
        # A loader's workers may be processes.
        divides = of != "loader" and self.job.spec.device == "cpu" and asked >= 2
        if not divides or cores < COMPUTING_CORES:
            return []
        if computed is not None and computed < asked:
            return [f"{computed} of the lane's {asked} threads computed"]
        # A pipeline decodes and warps on one thread: the others may be idle for long, but not throughout.
        half_idle = of != "pipeline" and cores <= HALF_IDLE * asked
        return [busy] if half_idle and not shared else []
