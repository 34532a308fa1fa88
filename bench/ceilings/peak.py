"""What this machine can do at best: peak GFLOP/s by precision and threads, and memory bandwidth.

A matrix product alone is no ceiling: convolutions of the same library can be faster. So the peak is
the best of several layers through every library at hand. FLOP are two for each multiply-add.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.ceilings import bandwidth
from bench.ceilings.kernels import kernels
from bench.cells.runtimes import RUNTIMES
from bench.machine import conditions
from bench.process import environment as environment_
from bench.process import launch
from bench.run.bench_file import Ceilings, KernelRate, Peak

START_S = {one.name: one.start_s for one in RUNTIMES.values() if one.peak}
"""What starting a child and importing the library is expected to take; only the plan depends on it."""

LIBRARIES = {one.name: one.peak for one in sorted(RUNTIMES.values(), key=lambda one: one.start_s) if one.peak}
"""Where each library's layers are found, resolved inside the child; the quickest to start comes first."""

ONE_THREAD_COUNT = {one.name for one in RUNTIMES.values() if one.keeps_threads}
"""Libraries that keep a process's first thread count: a child for each."""

LEAST_LAYER_S = 0.02
"""For one layer; with less, a library is left out."""

BANDWIDTH_SHARE = 0.12
"""Of the budget, for the memory's part."""

STRICT = {"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT"}
"""oneDNN computes float32 in float32, whatever the user's environment says."""


@dataclass(frozen=True)
class _Job:
    """One child: a library with the thread counts that it measures."""

    library: str
    threads: tuple[int, ...]

    @property
    def start_s(self) -> float:
        return START_S.get(self.library, max(START_S.values()))

    def least_s(self, layers: int) -> float:
        return self.start_s + LEAST_LAYER_S * layers * len(self.threads)


def measure(
    threads_list: Sequence[int],
    precisions: Sequence[str],
    budget_s: float = 20.0,
    *,
    device: str = "cpu",
    libraries: Mapping[str, str] = LIBRARIES,
    interpreters: Mapping[str, str] | None = None,
) -> Ceilings:
    """Return what the machine can do, measured within about `budget_s` seconds.

    interpreters: a library's own Python, where it lives in another environment.
    """
    deadline_s, threads = time.monotonic() + budget_s, sorted(set(threads_list))
    before = conditions.read()
    with tempfile.TemporaryDirectory(prefix="twinpose-limits-") as folder:
        moved, reasons = _bandwidth(threads, BANDWIDTH_SHARE * budget_s, Path(folder))
        asked = {"device": device, "precisions": list(precisions)}
        jobs = children(libraries, threads)
        rows: list[KernelRate] = []
        while jobs:
            fitting = fit(jobs, _layers(asked), deadline_s - time.monotonic(), least=0 if rows else 1)
            reasons |= {job.library: _no_time(job, budget_s) for job in jobs[len(fitting) :]}
            if fitting:
                payload = asked | {"until_s": _until(fitting, deadline_s), "threads": fitting[0].threads}
                payload["prepare"] = libraries[fitting[0].library]
                python = (interpreters or {}).get(fitting[0].library)
                found, why = _child(
                    "bench.ceilings.kernels:time_all", payload, Path(folder), budget_s, python
                )
                rows += [_rate(row, fitting[0].library) for row in found.get("kernels", [])]
                reasons |= _reasons(fitting[0].library, found, why)
            jobs = fitting[1:]
    return Ceilings(
        device=device,
        peaks=best(rows),
        kernels=rows,
        bandwidth_gb_s=moved,
        reasons=reasons,
        doubts=[one.text for one in conditions.doubts(before, conditions.read(before))],
    )


def _layers(asked: Mapping[str, Any]) -> int:
    return len(kernels(asked["device"], 1)) * len(asked["precisions"])


def _reasons(library: str, found: Mapping[str, Any], why: str | None) -> dict[str, str]:
    absent = {f"{library} {precision}": text for precision, text in found.get("absent", {}).items()}
    return absent | ({library: why} if why else {})


def _no_time(job: _Job, budget_s: float) -> str:
    counts = " and ".join(map(str, job.threads))
    return f"no time for {counts} thread(s) in {budget_s:g} s; a longer budget measures it"


def children(libraries: Iterable[str], threads: Sequence[int]) -> list[_Job]:
    """Return the children to start: one a library, or one a thread count where a process has but one."""
    jobs = []
    for library in libraries:
        # All cores before one thread: that is the ceiling most cells are held against.
        alone = [(count,) for count in reversed(threads)]
        jobs += [_Job(library, t) for t in (alone if library in ONE_THREAD_COUNT else [tuple(threads)])]
    return jobs


def fit(jobs: Sequence[_Job], layers: int, seconds: float, least: int = 0) -> list[_Job]:
    """Return the first of the children, as many as `seconds` allow but `least` of them.

    layers: how many timings each thread count asks for.
    """
    kept = list(jobs)
    while len(kept) > least and sum(job.least_s(layers) for job in kept) > seconds:
        kept.pop()
    return kept


def _until(jobs: Sequence[_Job], deadline_s: float) -> float:
    """Return when the first job is to be done, so that what is left is shared by thread counts."""
    left_s = deadline_s - time.monotonic() - sum(job.start_s for job in jobs)
    share = len(jobs[0].threads) / sum(len(job.threads) for job in jobs)
    return time.monotonic() + jobs[0].start_s + max(0.0, left_s) * share


def _child(
    entry: str, payload: dict[str, Any], folder: Path, budget_s: float, python: str | None = None
) -> tuple[dict[str, Any], str | None]:
    """Return what a child measured, or {} and why it measured nothing."""
    environment = environment_.thread_environment(
        max(payload["threads"]), device=payload.get("device", "cpu")
    )
    # A library that hangs must not hold the bench; the plan is an expectation, so the limit is wide.
    timeout_s = 30 + 3 * budget_s
    outcome = launch.call(
        entry,
        payload,
        folder,
        timeout_s=timeout_s,
        env=environment | STRICT,
        interpreter=python,
        log_stays=False,
    )
    return (outcome.value or {}, None) if outcome.status == "ok" else ({}, outcome.reason or outcome.status)


def _rate(row: Mapping[str, Any], library: str) -> KernelRate:
    rate = row["flop"] / row["s"] / 1e9
    named = {"kernel": row["name"], "library": library}
    return KernelRate(precision=row["precision"], threads=row["threads"], gflops=rate, **named)


def best(rows: Iterable[KernelRate]) -> list[Peak]:
    """Return the fastest of each precision and thread count, in the order they first appear."""
    found: dict[tuple[str, int], KernelRate] = {}
    for row in rows:
        key = (row.precision, row.threads)
        found[key] = max(found.get(key, row), row, key=lambda one: one.gflops)
    return [Peak(**msgspec.structs.asdict(one)) for one in found.values()]


def _bandwidth(
    threads: Sequence[int], seconds: float, folder: Path
) -> tuple[dict[str, float], dict[str, str]]:
    payload: dict[str, Any] = {"threads": list(threads), "array_bytes": bandwidth.array_bytes()}
    payload["until_s"] = time.monotonic() + seconds
    found, why = _child("bench.ceilings.bandwidth:time_all", payload, folder, seconds)
    best_of: dict[str, float] = {}
    for row in found.get("bandwidth", []):
        key = str(row["threads"])
        best_of[key] = max(best_of.get(key, 0.0), row["gb_s"])
    return best_of, {"bandwidth": why} if why else {}


def peak(ceilings: Ceilings, precision: str, threads: int) -> float | None:
    """Return a device's peak in GFLOP/s, or None where none was measured."""
    found = (row.gflops for row in ceilings.peaks if (row.precision, row.threads) == (precision, threads))
    return next(found, None)


def share(macs: int, batch: int, seconds: float, peak: float) -> float:
    """Return the part of `peak` (GFLOP/s) that a network reached: 2 x macs x batch / seconds / peak.

    macs: multiply-adds of one image, as `pose.architecture` counts them; seconds: for one batch.
    """
    return 2 * macs * batch / seconds / (peak * 1e9)
