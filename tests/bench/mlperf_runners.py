"""Runners for LoadGen: they fail where the test wants it, or accept nothing but the library's inputs."""

from __future__ import annotations

import threading

import numpy as np
from fake_runners import Oracle, Sleeper

from bench.contract import RunnerSpec

BEFORE_A_TEST = 4
"""Calls before LoadGen's first: the first inference and the least warm-up."""


class Strict(Oracle):
    """Refuses an image that is no validation input, and a batch of another size than the cell's."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        if len(images) != self.spec.batch:
            raise ValueError(f"a batch of {len(images)}")
        unknown = [image for image in images if image.tobytes() not in self.known]
        if unknown:
            raise ValueError("an image that is no validation input")
        return super().infer(images)

    def submit_all(self, batches: list[np.ndarray]) -> None:
        for batch in batches:
            self.infer(batch)


class BreaksInATest(Sleeper):
    """Fails at LoadGen's sixth call."""

    def __init__(self, spec: RunnerSpec) -> None:
        super().__init__(spec)
        self.calls = 0

    def _count(self) -> None:
        self.calls += 1
        if self.calls > BEFORE_A_TEST + 5:
            raise RuntimeError("a kernel was not found")

    def infer(self, images: np.ndarray) -> np.ndarray:
        self._count()
        return super().infer(images)

    def submit_all(self, batches: list[np.ndarray]) -> None:
        self._count()
        super().submit_all(batches)


class BreaksInServer(Sleeper):
    """Fails at the first query that LoadGen asks from a thread of its own."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        if any(thread.name == "loadgen" for thread in threading.enumerate()):
            raise RuntimeError("a kernel was not found")
        return super().infer(images)
