"""Inside the child: one round of one cell. Every arm is timed by the same clock under the same rule."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from bench.cells.scenarios import SCENARIOS
from bench.contract import Emit, RunnerSpec
from bench.machine import procfs
from bench.process.worker import resolve
from bench.scenarios import tries
from bench.scenarios.base import Phases, RoundJob, Workload
from bench.scenarios.watch import missing_threads
from bench.statistics import validity as validity_
from bench.statistics.validity import Validity
from pose.errors import UserError
from pose.files import write_arrays


def cell(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Measure one round of a cell; return the fields of a `bench.run.results.Round` and "effective".

    payload: "runner" ("module:class"), "spec" (RunnerSpec's fields), "protocol" (protocol.Protocol's),
    "coco", "split_file", "boxes" (a detection file or null) and "samples", where raw samples go (.npz).
    """
    spec = RunnerSpec(**payload["spec"])
    if spec.scenario not in SCENARIOS:
        raise UserError(f"unknown scenario '{spec.scenario}'; expected one of: {', '.join(SCENARIOS)}")
    job = RoundJob(spec, payload["protocol"], payload, Phases(emit))
    # Resolved here: a scenario costs no other's imports.
    asked = SCENARIOS[spec.scenario]
    measure = resolve(asked.workload)
    return finished(job, *(timed(job, measure) if asked.timed else measure(job)))


def timed(job: RoundJob, make: Callable[[RoundJob], Workload]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what one timed round gave, and what the runtime said of itself; raw samples are written.

    Its figures are those of the try that counts.
    """
    protocol, phases = job.protocol, job.phases
    subject = make(job)
    with phases("first"):
        subject.once(0)
    warmup_s = protocol["warmup_s" if job.spec.device == "cpu" else "warmup_gpu_s"]
    before = tries.warming(job)
    with phases("warmup"):
        repeat(subject.once, warmup_s, protocol["warmup_queries"])
    tried = tries.measured(job, subject, repeat, before)
    effective = subject.effective()
    subject, durations_ns, seen = tried.counting.subject, tried.counting.durations_ns, tried.counting.seen
    summary = subject.summarise(durations_ns)
    raw = Path(job.payload["samples"])
    write_arrays(raw, summary.samples)
    cpus = len(seen.conditions["before"]["cpus"])
    doubts = [
        *missing_threads(job.spec.threads, effective.get("threads"), cpus),
        *seen.doubts,
    ]
    found = {
        "count": summary.count,
        "value": summary.value,
        "peak_device_bytes": peak_device_bytes(subject),
        "stats": summary.stats | msgspec.to_builtins(validity_.steadiness(durations_ns)),
        "validity": msgspec.to_builtins(Validity.of(*doubts)),
        "conditions": seen.conditions,
        "energy_j": seen.energy_j,
        **tried.to_dict(raw),
    }
    return found, effective


def finished(job: RoundJob, found: dict[str, Any], effective: dict[str, Any]) -> dict[str, Any]:
    """Return what a child answers: what it found, what the runtime read back, its phases and its memory."""
    seconds = job.phases.seconds
    # Only the runtime knows how much of its loading was compilation; null where it compiles lazily.
    seconds["compile"] = effective.pop("compile_s", None)
    if seconds["compile"] is not None:
        seconds["load"] = (seconds["load"] or 0.0) - seconds["compile"]
    return {
        **found,
        "effective": with_threads(effective, found.get("conditions", {})),
        "phases_s": seconds,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def with_threads(effective: dict[str, Any], conditions: dict[str, Any]) -> dict[str, Any]:
    """Return what a runtime read back, with the threads that it was set to apart from those that computed.

    `threads_set` is what the runtime says, an echo of what it was told; `threads_computed` is how many of the
    process's threads did in the measured window, None where the system does not tell.
    """
    said = {"threads_set" if name == "threads" else name: value for name, value in effective.items()}
    seen = conditions.get("threads")
    return said | {"threads_computed": seen["used"]} if seen else said


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


def peak_device_bytes(subject: Workload) -> int | None:
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
    peak_kib = procfs.fields(procfs.read("proc/self/status")).get("VmHWM")
    return peak_kib * 1024 if peak_kib else int(psutil.Process().memory_info().rss)
