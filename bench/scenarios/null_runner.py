"""A runner that computes nothing: what is left is the harness's own cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.contract import RunnerSpec
from pose import recipe as recipes
from pose.skeleton import NUM_JOINTS


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
