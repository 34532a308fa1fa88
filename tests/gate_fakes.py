"""Runners of artifacts that a conversion may leave, good ones and others."""

from __future__ import annotations

import numpy as np

from bench.contract import RunnerSpec
from pose import interface

SHAPE = (6, 4, 3)


def heatmaps(images: np.ndarray) -> np.ndarray:
    """Return heatmaps (N, 17, 3, 2) of images (N, 6, 4, 3): what the source of all of them computes."""
    small = images[:, ::2, ::2].astype(np.float32).mean(axis=3) / 255 + 0.5
    return small[:, None] * np.arange(1, 18, dtype=np.float32)[:, None, None]


class Right:
    """Computes what its source does, and refuses what it was not made for."""

    def __init__(self, spec: RunnerSpec) -> None:
        self.spec = spec

    def infer(self, images: np.ndarray) -> np.ndarray:
        interface.require_images(images, (self.spec.batch, *SHAPE))
        return self.compute(images)

    def compute(self, images: np.ndarray) -> np.ndarray:
        return heatmaps(images)


class Rounded(Right):
    def compute(self, images: np.ndarray) -> np.ndarray:
        return heatmaps(images) * np.float32(1 + 5e-4)


class WithoutWeights(Right):
    def compute(self, images: np.ndarray) -> np.ndarray:
        return np.full_like(heatmaps(images), np.nan)


class Backwards(Right):
    def compute(self, images: np.ndarray) -> np.ndarray:
        return -heatmaps(images)


class OnlyTheFirst(Right):
    """Right at batch 1, and one image's heatmaps alone at any other."""

    def compute(self, images: np.ndarray) -> np.ndarray:
        return heatmaps(images[:1])


class WrongInItsBatch(Right):
    """Right for one image, and zeros for the others of a batch."""

    def compute(self, images: np.ndarray) -> np.ndarray:
        found = heatmaps(images)
        found[1:] = 0
        return found


class TakesAnything(Right):
    def infer(self, images: np.ndarray) -> np.ndarray:
        return heatmaps(images.astype(np.uint8)[: self.spec.batch])


class RefusesInItsOwnWords(Right):
    def infer(self, images: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8:
            raise ValueError("0x12\nat line 3")
        return super().infer(images)
