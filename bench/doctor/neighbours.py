"""Noisy neighbours: one small piece of work, timed over and over on every core at once.

On a quiet machine every block takes the same time. What is slower was interrupted, shared a cache or a
core, or ran at another clock.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import Emit
from bench.machine import conditions, fingerprint
from bench.process import environment, launch, parallel

SIDE = 192
"""Of the square matrices that are multiplied: float32, all three within a core's own cache."""
BLOCK_S = 1e-3
"""Aimed at for a block: shorter than a scheduler's slice, so that a neighbour shows as a slow block."""
SLOW = 1.1
"""A block is slow that took this many times the best one."""
SLOW_SHARE = 0.05
"""Of all blocks: with more, a median of a round moves."""
START_S = 30.0
"""For a child to start; a machine that needs longer is answer enough."""


@dataclass(frozen=True)
class CoreNoise:
    """What one core's blocks showed."""

    cpu: int
    blocks: int
    best_ms: float
    median_ms: float
    spread: float
    """Interquartile range over median."""
    worst_slowdown: float
    """The slowest block over the best."""
    slow_share: float
    """Of the blocks, those slower than 1.1 times the best."""


@dataclass(frozen=True)
class Noise:
    """A probe of all cores."""

    seconds: float
    cores: list[CoreNoise]
    steal_share: float | None
    """Of the processors' time, what a hypervisor gave to others; None where the system does not tell."""

    @property
    def noisy(self) -> bool:
        """Whether any core had too many slow blocks, or the hypervisor took too much."""
        stolen = (self.steal_share or 0.0) > conditions.STEAL_SHARE
        return stolen or any(core.slow_share > SLOW_SHARE for core in self.cores)

    def to_dict(self) -> dict[str, Any]:
        """Return the probe as JSON-able values."""
        return asdict(self) | {"noisy": self.noisy}


def probe(seconds: float, cpus: Sequence[int] | None = None) -> Noise:
    """Return what `seconds` of the probe show on every usable core (or on `cpus`), at once.

    Raises bench.process.launch.ChildFailed when a child measured nothing.
    """
    chosen = list(cpus) if cpus is not None else probed_cpus()
    before = conditions.read()
    with tempfile.TemporaryDirectory(prefix="twinpose-noise-") as folder:
        tasks = [partial(_core, cpu, seconds, Path(folder) / str(cpu)) for cpu in chosen]
        cores = parallel.together(tasks, len(tasks))
    after = conditions.read(before)
    return Noise(seconds, cores, conditions.steal_share(before, after))


def probed_cpus() -> list[int]:
    """Return one logical processor of each usable core: two on one core would slow each other."""
    cores = fingerprint.physical_cores(fingerprint.affinity())
    return [cpus[0] for cpus in cores.values()][: fingerprint.usable_cores()]


def _core(cpu: int, seconds: float, folder: Path) -> CoreNoise:
    folder.mkdir()
    outcome = launch.call(
        "bench.doctor.neighbours:time_blocks",
        {"cpu": cpu, "seconds": seconds},
        folder,
        timeout_s=START_S + 2 * seconds,
        env=environment.thread_environment(1),
        log_stays=False,
    )
    return summary(cpu, launch.value_of(outcome)["block_ns"])


def time_blocks(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Time blocks on one processor for a while and return {"block_ns": [...]}."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {payload["cpu"]})
    a = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    out = np.empty_like(a)
    products = max(1, round(BLOCK_S * 1e9 / min(_block(a, out, 1) for _ in range(50))))
    end, block_ns = time.monotonic() + payload["seconds"], [_block(a, out, products)]
    while time.monotonic() < end:
        block_ns.append(_block(a, out, products))
    return {"block_ns": block_ns}


def _block(a: np.ndarray, out: np.ndarray, products: int) -> int:
    started_ns = time.perf_counter_ns()
    for _ in range(products):
        np.matmul(a, a, out=out)
    return time.perf_counter_ns() - started_ns


def summary(cpu: int, block_ns: Iterable[int]) -> CoreNoise:
    """Return what the blocks (nanoseconds) of one processor show."""
    blocks = np.sort(np.fromiter(block_ns, np.int64))
    best, (low, median, high) = blocks[0], np.percentile(blocks, (25, 50, 75))
    return CoreNoise(
        cpu=cpu,
        blocks=len(blocks),
        best_ms=float(best / 1e6),
        median_ms=float(median / 1e6),
        spread=float((high - low) / median),
        worst_slowdown=float(blocks[-1] / best),
        slow_share=float(np.mean(blocks > SLOW * best)),
    )
