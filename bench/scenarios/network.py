"""The network alone: `latency`, one query after another, and `throughput`, the runtime's own best mode."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.contract import OnDevice, Runner
from bench.scenarios.base import RoundJob, Summary
from bench.statistics import samples as samples_

BATCHES_IN_BLOCK = 4
"""The least batches that one `submit_all` is given: enough for an asynchronous runtime to fill and drain."""

DEVICE_S, DEVICE_CALLS = 1.0, 10
"""The least that the device's own clock is read for, after the measured window."""


def batches_in_block(threads: int) -> int:
    """Return how many batches one `submit_all` is given: two for each thread, which may be a stream."""
    return max(BATCHES_IN_BLOCK, 2 * threads)


class _OfRunner:
    """What both scenarios have of their runner."""

    runner: Runner

    def start(self) -> None:
        """Begin with a device that has nothing left to do."""
        self.runner.synchronize()

    def effective(self) -> dict[str, Any]:
        """Return what the runner reads back."""
        return self.runner.effective()


class Latency(_OfRunner):
    """A query is one batch from host memory to host memory."""

    def __init__(self, job: RoundJob) -> None:
        self.batches = job.images(job.protocol["images"])
        self.runner = job.runner()

    def once(self, number: int) -> None:
        """Infer one batch, synchronised at both ends."""
        self.runner.infer(self.batches[number % len(self.batches)])
        self.runner.synchronize()

    def summarise(self, durations_ns: np.ndarray) -> Summary:
        """Return the median latency in ms, and its percentiles; those of the device's clock beside."""
        found, samples = samples_.latency(durations_ns), {"latency_ns": durations_ns}
        device_ns = on_device(self.runner, self.once)
        if len(device_ns):
            samples["device_ns"] = device_ns
            found["device_ms"] = samples_.latency(device_ns)["latency_ms"]
        return Summary(found["latency_ms"]["p50"], found, len(durations_ns), samples)


class Throughput(_OfRunner):
    """A block is a few batches handed over at once, synchronised at its ends."""

    def __init__(self, job: RoundJob) -> None:
        self.batch = job.spec.batch
        self.batches = job.images(batches_in_block(job.spec.threads))
        self.runner = job.runner()

    def once(self, number: int) -> None:
        """Infer one block of batches."""
        self.runner.submit_all(self.batches)
        self.runner.synchronize()

    def summarise(self, durations_ns: np.ndarray) -> Summary:
        """Return images a second over the whole phase; a block's percentiles by the device's clock beside."""
        found = samples_.throughput(durations_ns, self.batch * len(self.batches), self.batch)
        samples = {"block_ns": durations_ns}
        device_ns = on_device(self.runner, self.once)
        if len(device_ns):
            samples["device_block_ns"] = device_ns
            found["device_block_ms"] = samples_.latency(device_ns)["latency_ms"]
        count = len(durations_ns) * len(self.batches)
        return Summary(found["images_per_s"], found, count, samples)


def on_device(runner: Runner, action: Callable[[int], None]) -> np.ndarray:
    """Return what action(0), action(1) ... take by the device's own clock (n,) int64, ns; (0,) without one.

    In a window of its own, after the one that the host times: marking and reading cost microseconds, which
    one runtime alone would pay.
    """
    timer = runner.device_timer() if isinstance(runner, OnDevice) else None
    found: list[int] = []
    if timer:
        end = time.perf_counter() + DEVICE_S
        while len(found) < DEVICE_CALLS or time.perf_counter() < end:
            timer.start()
            action(len(found))
            found.append(timer.stop())
    return np.array(found, np.int64)
