"""Inside the child: one round of one cell. Every arm is timed by the same clock under the same rule."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.cells.cell import SCENARIOS
from bench.contract import Emit, Runner, RunnerSpec
from bench.machine import conditions, energy, fingerprint, gpu_conditions, procfs, thread_pools
from bench.process.worker import resolve
from bench.scenarios.base import Job, Phases, Subject
from bench.statistics import validity as validity_
from pose import bootstrap, evaluate, inference, splits
from pose import recipe as recipes
from pose.errors import UserError
from pose.files import replacing
from pose.skeleton import NUM_JOINTS

SUBJECTS = {
    "latency": "bench.scenarios.network:Latency",
    "throughput": "bench.scenarios.network:Throughput",
    "pipeline": "bench.scenarios.pipeline:Pipeline",
    "train": "bench.scenarios.training:Training",
    "data": "bench.scenarios.data:Data",
}
"""Where each timed scenario's subject is found; resolved in the child: one costs no other's imports."""


EXTRA_CORES = 0.15
"""Beyond a lane's threads that a runtime's housekeeping may use before its round is flagged."""


NETWORK = ("latency", "throughput")
"""Scenarios that time the network alone, which every runtime divides among its threads."""

ONE_CORE = (0.8, 1.05)
"""The cores that a process of one busy thread uses; less is waiting, such as for a device."""


class NullRunner:
    """A runner that computes nothing: what it costs is the harness itself."""

    def __init__(self, spec: RunnerSpec) -> None:
        width, height = recipes.from_dict(spec.recipe).model.heatmap_size
        self.heatmaps = np.zeros((spec.batch, NUM_JOINTS, height, width), np.float32)

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return zeros (N, K, h, w)."""
        return self.heatmaps[: len(images)]

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Return at once."""

    def synchronize(self) -> None:
        """Return at once."""

    def effective(self) -> dict[str, Any]:
        """Return that nothing is computed."""
        return {"precision": None, "threads": 0, "device": "none", "version": None}


def cell(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Measure one round of a cell; return a store.Round's fields and "effective".

    payload: "runner" ("module:class"), "spec" (RunnerSpec's fields), "protocol" (protocol.Protocol's),
    "coco", "split_file", "boxes" (a detection file or null) and "samples", where raw samples go (.npz).
    """
    spec = RunnerSpec(**payload["spec"])
    if spec.scenario not in SCENARIOS:
        raise UserError(f"unknown scenario '{spec.scenario}'; expected one of: {', '.join(SCENARIOS)}")
    job = Job(spec, payload["protocol"], payload, Phases(emit))
    if spec.scenario == "accuracy":
        return _finish(job, *accuracy(job))
    return _finish(job, *timed(job))


def timed(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what one timed round gave, and what the runtime said of itself; raw samples are written."""
    protocol, phases = job.protocol, job.phases
    subject: Subject = resolve(SUBJECTS[job.spec.scenario])(job)
    with phases("first"):
        subject.once(0)
    warmup_s = protocol["warmup_s" if job.spec.device == "cpu" else "warmup_gpu_s"]
    with phases("warmup"):
        repeat(subject.once, warmup_s, protocol["warmup_queries"])
    subject.start()
    watched = Watch(job)
    with phases("measured"):
        durations_ns = repeat(subject.once, protocol["measured_s"], protocol["measured_queries"])
    seen = watched.end()
    effective = subject.effective()
    summary = subject.summarise(durations_ns)
    with replacing(Path(job.payload["samples"])) as temporary:
        np.savez(temporary, **summary.samples)  # type: ignore[arg-type]
    found = {
        "count": summary.count,
        "value": summary.value,
        "peak_device_bytes": peak_device_bytes(subject),
        "stats": summary.stats,
        "validity": judged(
            validity_.validity(durations_ns),
            seen["conditions"]["doubts"],
            missing_threads(
                job.spec.threads, effective.get("threads"), len(seen["conditions"]["before"]["cpus"])
            ),
        ),
        **seen,
    }
    return found, effective


def judged(validity: dict[str, Any], doubts: list[str], faults: list[str]) -> dict[str, Any]:
    """Return a round's verdict with doubts, which flag it, and faults, which make it invalid."""
    verdict = validity["verdict"]
    if doubts and verdict == "VALID":
        verdict = "FLAGGED"
    return {
        "verdict": "INVALID" if faults else verdict,
        "reasons": [*faults, *validity["reasons"], *doubts],
    }


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

    def __init__(self, job: Job) -> None:
        self.job = job
        self.energy: energy.Reading | None = None
        self.gpu: gpu_conditions.Reading | None = None
        if job.spec.device == "cuda":  # the door to NVML is opened outside the window of the energy
            self.gpu = gpu_conditions.read()
            self.energy = energy.read()
        self.tasks = conditions.tasks()
        self.before = conditions.read()

    def end(self) -> dict[str, Any]:
        """Return {"conditions", "energy_j"} of the time since this object was made."""
        after = conditions.read(self.before)
        used = conditions.threads(self.tasks, conditions.tasks())
        spent = (
            energy.spent(self.energy, energy.read(), self.job.payload.get("idle_w")) if self.energy else None
        )
        gpu = gpu_conditions.read() if self.gpu else None
        cores, seen = conditions.cores_used(self.before, after), thread_pools.view()
        found = {
            "before": self.before.to_dict(),
            "after": after.to_dict(),
            "doubts": [
                *conditions.doubts(self.before, after),
                *gpu_conditions.doubts(self.gpu, gpu),
                *self._too_many(cores),
                *self._too_few(cores),
                *thread_pools.doubts(seen["pools"], self.job.spec.threads),
            ],
            "cores_used": cores,
            "threads": {**used, **seen},
        }
        if self.gpu and gpu:
            found["gpu"] = {"before": self.gpu.to_dict(), "after": gpu.to_dict()}
        if spent and spent.reason:
            found["energy_null"] = spent.reason
        return {"conditions": found, "energy_j": spent.energy_j if spent else None}

    def _too_many(self, cores: float) -> list[str]:
        """Return the doubt that a lane of few threads kept more cores busy than it has."""
        asked = self.job.spec.threads
        if self.job.spec.scenario == "data" or cores <= asked + EXTRA_CORES:
            return []
        return [f"{cores:.2f} cores were busy in a lane of {asked} threads"]

    def _too_few(self, cores: float) -> list[str]:
        """Return the doubt that a network's lane of several threads ran on one: its pool was not used."""
        asked = self.job.spec.threads
        if self.job.spec.scenario not in NETWORK or self.job.spec.device != "cpu":
            return []
        if asked < 2 or not ONE_CORE[0] <= cores <= ONE_CORE[1]:
            return []
        return [f"{cores:.2f} cores were busy in a lane of {asked} threads: one thread did the work"]


def accuracy(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score the whole validation part by the recipe's own test protocol, in batches of the cell's size.

    Which predictions are right is kept as raw samples: differences of AP are resampled from it.
    """
    truth = splits.ground_truth(job.manifest, job.coco, "val")
    runner = job.runner()
    first = job.images(1)[0]
    with job.phases("first"):
        runner.infer(first)
    with job.phases("measured"):
        rows = inference.predict(lambda images: in_whole_batches(runner, job.spec.batch, images), job.inputs)
    counts = {"instances": len(job.inputs), "images": len(truth["images"])}
    scored = {**evaluate.score(rows, truth), **counts}
    with replacing(Path(job.payload["samples"])) as temporary:
        np.savez(temporary, **bootstrap.match(rows, truth).to_arrays())  # type: ignore[arg-type]
    validity = {"verdict": "VALID", "reasons": []}
    found = {"count": len(job.inputs), "value": scored["AP"], "stats": scored, "validity": validity}
    return found, runner.effective()


def _finish(job: Job, found: dict[str, Any], effective: dict[str, Any]) -> dict[str, Any]:
    seconds = job.phases.seconds
    # Only the runtime knows how much of its loading was compilation; null where it compiles lazily.
    seconds["compile"] = effective.pop("compile_s", None)
    if seconds["compile"] is not None:
        seconds["load"] = (seconds["load"] or 0.0) - seconds["compile"]
    return {**found, "effective": effective, "phases_s": seconds, "peak_rss_bytes": peak_rss_bytes()}


def repeat(action: Callable[[int], None], seconds: float, queries: int) -> np.ndarray:
    """Call action(0), action(1) ... for at least `seconds` and `queries`; return durations (n,) int64, ns."""
    clock = time.perf_counter_ns
    durations: list[int] = []
    end_ns = clock() + int(seconds * 1e9)
    while len(durations) < queries or clock() < end_ns:
        started_ns = clock()
        action(len(durations))
        durations.append(clock() - started_ns)
    return np.array(durations, np.int64)


def in_whole_batches(runner: Runner, batch: int, images: np.ndarray) -> np.ndarray:
    """Return heatmaps (n, K, h, w) of n <= batch images; black ones fill the batch up.

    A compiled graph would be compiled again for a last batch of another size.
    """
    missing = ((0, batch - len(images)), (0, 0), (0, 0), (0, 0))
    return runner.infer(np.pad(images, missing))[: len(images)]


def peak_device_bytes(subject: Subject) -> int | None:
    """Return the most memory held on the device by what a subject times; None on a CPU or when unknown."""
    for name in ("runner", "steps"):
        tell = getattr(getattr(subject, name, None), "device_memory_bytes", None)
        if tell is not None:
            found: int | None = tell()
            return found
    return None


def peak_rss_bytes() -> int:
    """Return the most resident memory this process has held, or what it holds where that is not told."""
    # getrusage would do, but after exec it still counts the parent's memory.
    peak_kib = procfs.fields(fingerprint.read("proc/self/status")).get("VmHWM")
    return peak_kib * 1024 if peak_kib else int(psutil.Process().memory_info().rss)
