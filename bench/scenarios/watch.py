"""What is watched while a cell is measured: conditions, processor time, memory."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.cells.scenarios import SCENARIOS
from bench.doubts import Doubt, doubt
from bench.machine import conditions, energy, gpu_conditions, thread_pools
from bench.machine.disturbance import Disturbance
from bench.scenarios.base import RoundJob
from bench.statistics.samples import counted

EXTRA_CORES = 0.15
"""Beyond a lane's threads that a runtime's housekeeping may use before its round is flagged."""

COMPUTING_CORES = 0.8
"""The least that a process keeps busy which computes; less is waiting, such as for a device."""

HALF_IDLE = 0.525
"""Of a lane's threads: where no more cores were busy, about half of the lane did nothing."""


def missing_threads(asked: int, told: int | None, processors: int) -> list[Doubt]:
    """Return why a round did not run on its lane's threads; told is what the runtime says, if anything."""
    found = []
    if told and told != asked:
        found.append(doubt("other threads", told, asked))
    if processors < asked:
        found.append(doubt("few processors", asked, counted(processors, "processor", "processors")))
    return found


@dataclass(frozen=True)
class Watched:
    """What was seen of a measured phase."""

    conditions: dict[str, Any]
    energy_j: float | None
    doubts: list[Doubt]
    disturbances: list[Disturbance]


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

    def end(self) -> Watched:
        """Return what was seen since this object was made."""
        after = conditions.read(self.before)
        used = conditions.threads(self.tasks, conditions.tasks())
        spent = (
            energy.spent(self.energy, energy.read(), self.job.payload.get("idle_w")) if self.energy else None
        )
        gpu = gpu_conditions.read() if self.gpu else None
        cores, seen = conditions.cores_used(self.before, after), thread_pools.view()
        others = conditions.disturbances(self.before, after)
        idle_by = others or conditions.held_back(self.before, after)
        doubts = [
            *conditions.doubts(self.before, after),
            *gpu_conditions.doubts(self.gpu, gpu),
            *self._doubts_of_threads(cores, used["used"], shared=bool(idle_by)),
            *thread_pools.doubts(seen["pools"], self.job.spec.threads),
        ]
        found = {
            "before": self.before.to_dict(),
            "after": after.to_dict(),
            "doubts": [one.text for one in doubts],
            "cores_used": cores,
            "threads": {**used, **seen},
        }
        if self.gpu and gpu:
            found["gpu"] = {"before": asdict(self.gpu), "after": asdict(gpu)}
        if spent and spent.reason:
            found["energy_null"] = spent.reason
        disturbed = others + gpu_conditions.disturbances(self.gpu, gpu)
        return Watched(found, spent.energy_j if spent else None, doubts, disturbed)

    def _doubts_of_threads(self, cores: float, computed: int | None, *, shared: bool) -> list[Doubt]:
        """Return the doubt that more cores than the lane's threads were busy, or that some did nothing.

        computed: how many threads did, None where the system does not tell; shared: whether others had some
        of the processors, or a quota or heat did, so that few busy cores say nothing of the threads.
        """
        asked, of = self.job.spec.threads, SCENARIOS[self.job.spec.scenario].of
        if of != "loader" and cores > asked + EXTRA_CORES:
            return [doubt("busy cores", cores, asked)]
        # A loader's workers may be processes.
        divides = of != "loader" and self.job.spec.device == "cpu" and asked >= 2
        if not divides or cores < COMPUTING_CORES:
            return []
        if computed is not None and computed < asked:
            return [doubt("idle threads", computed, asked)]
        # A pipeline decodes and warps on one thread: the others may be idle for long, but not throughout.
        half_idle = of != "pipeline" and cores <= HALF_IDLE * asked
        return [doubt("idle cores", cores, asked)] if half_idle and not shared else []
