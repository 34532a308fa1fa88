"""From a runtime's heatmaps to COCO results: what `predict`, training and the bench share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose import coco, evaluate, geometry, heatmap, sample, splits
from pose.recipe import Evaluation, Recipe
from pose.skeleton import COCO

Infer = Callable[[np.ndarray], np.ndarray]
"""(N, H, W, 3) uint8 RGB -> heatmaps (N, K, h, w) float32."""


class Inputs:
    """The unaugmented network inputs of one part of a split, with ground-truth or detected boxes."""

    def __init__(self, recipe: Recipe, root: Path, manifest: splits.Manifest, part: str, boxes: Path | None = None):
        dataset = splits.select(manifest, root, part)
        self.dataset = dataset if boxes is None else coco.with_detections(dataset, boxes)
        self.input_size = recipe.model.input_size
        pairs = [geometry.center_scale(box, self.input_size) for box in self.dataset.boxes]
        self.centers = np.array([center for center, _ in pairs], np.float32)
        self.scales = np.array([scale for _, scale in pairs], np.float32)

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, start: int, stop: int) -> np.ndarray:
        """Return the inputs start..stop as (n, H, W, 3) uint8 RGB."""
        indices = range(start, min(stop, len(self)))
        return np.stack([sample.crop(self.dataset, i, self.input_size) for i in indices])


def heatmaps(infer: Infer, images: np.ndarray, options: Evaluation) -> np.ndarray:
    """Return heatmaps (N, K, h, w) float32 of images (N, H, W, 3), averaged with the mirror's if so asked."""
    straight = infer(images)
    if not options.flip_test:
        return straight
    mirrored = infer(np.ascontiguousarray(images[:, :, ::-1]))
    return (straight + heatmap.flip_back(mirrored, COCO.flip_order, shift=options.shift_flipped)) * np.float32(0.5)


def predict(
    infer: Infer,
    inputs: Inputs,
    options: Evaluation,
    *,
    keep_heatmaps: bool = False,
    on_batch: Callable[[int, int], None] | None = None,
) -> tuple[list[dict[str, Any]], np.ndarray | None]:
    """Return COCO results of all `inputs`, and their heatmaps (N, K, h, w) if they are to be kept."""
    keypoints: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    kept: list[np.ndarray] = []
    for start in range(0, len(inputs), options.batch_size):
        stop = min(start + options.batch_size, len(inputs))
        maps = heatmaps(infer, inputs.batch(start, stop), options)
        found, peaks = evaluate.keypoints_in_image(maps, inputs.centers[start:stop], inputs.scales[start:stop])
        keypoints.append(found)
        scores.append(peaks)
        if keep_heatmaps:
            kept.append(maps)
        if on_batch:
            on_batch(stop, len(inputs))
    rows = evaluate.results(
        np.concatenate(keypoints),
        np.concatenate(scores),
        inputs.dataset.image_ids,
        inputs.dataset.box_scores,
        inputs.scales,
        options,
    )
    return rows, np.concatenate(kept) if keep_heatmaps else None
