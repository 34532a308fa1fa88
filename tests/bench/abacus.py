"""The runner of a made-up runtime, which tests/bench/cells/test_new_runtime.py adds to the table."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.contract import RunnerSpec
from pose import recipe as recipes
from pose.skeleton import NUM_JOINTS


class Runner:
    """Says that every joint is where the image is brightest."""

    def __init__(self, spec: RunnerSpec) -> None:
        self.spec = spec
        model = recipes.from_dict(spec.recipe).model
        self.stride = model.input_size[0] // model.heatmap_size[0]

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32: the brightness, one for all joints."""
        bright = images[:, :: self.stride, :: self.stride].mean(axis=3, dtype=np.float32)
        return np.repeat(bright[:, None], NUM_JOINTS, axis=1)

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer them one after another."""
        for batch in batches:
            self.infer(batch)

    def synchronize(self) -> None:
        """Return at once: NumPy has ended when it returns."""

    def effective(self) -> dict[str, Any]:
        """Return what it computes in."""
        return {"precision": "float32", "threads": None, "device": "cpu", "version": np.__version__}
