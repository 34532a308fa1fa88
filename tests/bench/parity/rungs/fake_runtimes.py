"""Runtimes that need no framework: one network of known answers, and one mistake each.

An artifact is an .npz of images (M, H, W, 3) and heatmaps (M, K, h, w). The network gives the heatmaps
of an image that it knows, and over all of them a texture that is linear in the pixels.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from bench.contract import RunnerSpec
from bench.scenarios.null_runner import NullRunner
from pose.errors import Unsupported


def people(artifact: Path, images: np.ndarray) -> np.ndarray:
    """Return the known heatmaps (N, K, h, w) of images (N, H, W, 3), zeros for an unknown one."""
    known = np.load(io.BytesIO(artifact.read_bytes()))
    maps = {image.tobytes(): answer for image, answer in zip(known["images"], known["heatmaps"], strict=True)}
    return np.stack([maps.get(image.tobytes(), np.zeros(known["heatmaps"].shape[1:])) for image in images])


def texture(images: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
    """Return heatmaps (N, 17, h, w), computed in `dtype`: a linear combination of each pixel's colours."""
    small = images[:, ::4, ::4].astype(dtype) / dtype(255)
    colours = np.random.default_rng(0).normal(0, 0.01, (3, 17)).astype(dtype)
    return (small @ colours).transpose(0, 3, 1, 2)


def network(artifact: Path, images: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
    """Return heatmaps (N, 17, h, w) of images (N, H, W, 3), computed in `dtype`."""
    return people(artifact, images).astype(dtype) + texture(images, dtype)


class Exact(NullRunner):
    """Computes in float32, and takes whole batches alone."""

    def __init__(self, spec: RunnerSpec) -> None:
        super().__init__(spec)
        self.spec, self.artifact = spec, Path(spec.artifact)

    def infer(self, images: np.ndarray) -> np.ndarray:
        assert len(images) == self.spec.batch
        return network(self.artifact, images, np.float32)


class Swapped(Exact):
    """Reads RGB as BGR."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        return people(self.artifact, images).astype(np.float32) + texture(images[..., ::-1], np.float32)


class Half(Exact):
    """Computes in half precision, whatever it was asked for."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        return network(self.artifact, images, np.float16).astype(np.float32)


class Obedient(Exact):
    """Computes in half precision when it is asked to."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        dtype = np.float32 if self.spec.precision == "fp32" else np.float16
        return network(self.artifact, images, dtype).astype(np.float32)


class Mirrored(Exact):
    """Gives the heatmaps of the mirrored image."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        return super().infer(images)[..., ::-1]


class Absent(Exact):
    def __init__(self, spec: RunnerSpec) -> None:
        raise Unsupported("no such device is visible to this runtime")


class Crashing(Exact):
    def infer(self, images: np.ndarray) -> np.ndarray:
        raise RuntimeError("a kernel\nwas not found")


class Aborting(Exact):
    def infer(self, images: np.ndarray) -> np.ndarray:
        os.abort()


class NotANumber(Exact):
    def infer(self, images: np.ndarray) -> np.ndarray:
        return super().infer(images) * np.float32(np.nan)


class Overflowing(Exact):
    """Leaves the range of a lower precision: one value is infinite."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        heatmaps = super().infer(images)
        if self.spec.precision != "fp32":
            heatmaps[:, 0, 0, 0] = np.inf
        return heatmaps


class LostLate(Exact):
    """Gives no number from the second batch on, in a lower precision."""

    batches = 0

    def infer(self, images: np.ndarray) -> np.ndarray:
        self.batches += 1
        lost = self.spec.precision != "fp32" and self.batches > 1
        return super().infer(images) * np.float32(np.nan if lost else 1)


class Transposed(Exact):
    """Leaves the joints last."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        return super().infer(images).transpose(0, 2, 3, 1)
