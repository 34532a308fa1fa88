"""Seeded heatmaps and crowds that are hard on post-processing: ties, borders, nothing there, overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pose.recipe import Evaluation

JOINTS = 17
STEPS = np.array([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0], np.float32)
"""Few values, so that a map's highest stands in many places."""
MAPS = ("noise", "ties", "negative", "zero", "flat", "border", "blobs")
CROWDS = ("near", "apart", "identical", "equal scores", "without area", "nobody")
JOINT_THRESHOLDS = (0.0, 0.2, 0.9)
OKS_THRESHOLDS = (0.05, 0.3, 0.5, 0.7, 0.9, 1.0)
REPEATS = 40
"""Of every kind; the sizes, people and thresholds of each are its own."""
FULL_SIZE = 1
"""Cases of every kind of map at the recipe's own size, which the slow transcription takes long for."""


@dataclass(frozen=True, eq=False)
class Maps:
    """Heatmaps of N people as a runtime gives them, for the image and for its mirror."""

    name: str
    straight: np.ndarray
    """(N, 17, h, w) float32."""
    mirrored: np.ndarray
    centers: np.ndarray
    """(N, 2) float32, image pixels."""
    scales: np.ndarray
    """(N, 2) float32, units of 200 pixels."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """N people in some images, with what rescoring and OKS-NMS ask for."""

    name: str
    keypoints: np.ndarray
    """(N, 17, 2) float64, image pixels."""
    joint_scores: np.ndarray
    """(N, 17) float32."""
    image_ids: np.ndarray
    box_scores: np.ndarray
    scales: np.ndarray
    """(N, 2) float32, units of 200 pixels."""
    options: Evaluation


def maps(full_size: tuple[int, int]) -> Iterator[Maps]:
    """Yield every kind of heatmaps, small ones and some of `full_size` (width, height)."""
    for code, kind in enumerate(MAPS):
        for number in range(REPEATS + FULL_SIZE):
            rng = np.random.default_rng([1, code, number])
            full = number >= REPEATS
            width, height = full_size if full else rng.integers(1, 15, 2).tolist()
            people = 1 if full else int(rng.integers(1, 4))
            shape = (people, JOINTS, height, width)
            aspect = width / height
            side = rng.uniform(0.005, 4, people)
            yield Maps(
                f"{kind} {number}, {width}x{height}",
                _heatmaps(kind, rng, shape),
                _heatmaps(kind, rng, shape),
                rng.uniform(-50, 700, (people, 2)).astype(np.float32),
                np.stack([side, side / aspect], axis=1).astype(np.float32),
            )


def _heatmaps(kind: str, rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Return heatmaps (N, K, h, w) float32 of a kind."""
    noise = rng.normal(0, 0.3, shape).astype(np.float32)
    if kind == "ties":
        return rng.choice(STEPS, shape)
    if kind == "negative":
        return -np.abs(noise) - np.float32(1e-3)
    if kind == "zero":
        return np.minimum(noise, 0) * (rng.random(shape) < 0.5)
    if kind == "flat":
        return np.broadcast_to(rng.choice(STEPS, (*shape[:2], 1, 1)), shape).copy()
    if kind == "border":
        return _peaks_at_borders(rng, noise)
    return noise + _blobs(rng, shape) if kind == "blobs" else noise


def _peaks_at_borders(rng: np.random.Generator, noise: np.ndarray) -> np.ndarray:
    """Return heatmaps whose peak lies in one of the first or last three rows and columns."""
    n, k, height, width = noise.shape
    made = noise * np.float32(0.1)
    for person in range(n):
        for joint in range(k):
            row = int(rng.choice([0, 1, 2, height - 3, height - 2, height - 1])) % height
            column = int(rng.choice([0, 1, 2, width - 3, width - 2, width - 1])) % width
            made[person, joint, row, column] = 5
    return made


def _blobs(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Return Gaussians that are centred anywhere, a little outside too."""
    n, k, height, width = shape
    x = np.arange(width) - rng.uniform(-2, width + 2, (n, k, 1, 1))
    y = np.arange(height)[:, None] - rng.uniform(-2, height + 2, (n, k, 1, 1))
    return np.asarray(np.exp(-(x**2 + y**2) / 4), np.float32)


def crowds() -> Iterator[Crowd]:
    """Yield every kind of crowd."""
    for code, kind in enumerate(CROWDS):
        for number in range(REPEATS):
            rng = np.random.default_rng([2, code, number])
            people = 0 if kind == "nobody" else int(rng.integers(1, 21))
            # People without an area are the same person or nobody alike.
            same = kind == "identical" or (kind == "without area" and number % 2 == 0)
            spread = 0.0 if same else rng.uniform(0.2, 6)
            clusters = people if kind == "apart" else 1 + people // 5
            places = rng.uniform(0, 300, (clusters, JOINTS, 2))
            members = places[rng.integers(0, max(clusters, 1), people)]
            few = rng.choice([0.1, 0.5, 0.5000001, 0.9], people)
            joint_scores = rng.uniform(-0.2, 1, (people, JOINTS)).astype(np.float32)
            if kind == "equal scores":
                joint_scores[:] = rng.choice([*JOINT_THRESHOLDS, 0.5])
            scales = rng.uniform(0.1, 1.0, (people, 2)).astype(np.float32)
            threshold = float(rng.choice(OKS_THRESHOLDS))
            yield Crowd(
                f"{kind} {number}, {people} people, OKS {threshold}",
                members + rng.normal(0, 1, members.shape) * spread,
                joint_scores,
                rng.integers(1, 4, people),
                few if number % 2 else rng.uniform(0, 1, people),
                scales * 0 if kind == "without area" else scales,
                Evaluation(joint_threshold=float(rng.choice(JOINT_THRESHOLDS)), oks_nms_threshold=threshold),
            )
