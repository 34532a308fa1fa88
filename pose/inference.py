"""From a runtime's heatmaps to COCO results: what `predict`, training and the bench share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pose import coco, evaluate, geometry, heatmap, sample, splits, training
from pose.errors import UserError
from pose.recipe import Evaluation, Recipe
from pose.skeleton import COCO

Infer = Callable[[np.ndarray], np.ndarray]
"""(N, H, W, 3) uint8 RGB -> heatmaps (N, K, h, w) float32."""

Crops = Callable[[coco.Dataset, Recipe, Sequence[int]], np.ndarray]
"""Instances of a dataset, by index -> their unaugmented inputs (n, H, W, 3) uint8 RGB."""


class Inputs:
    """The unaugmented network inputs of one part of a split, with ground-truth or detected boxes.

    `crops` makes their pixels: the shared ones unless a twin gives its own.
    """

    def __init__(
        self,
        recipe: Recipe,
        root: Path,
        manifest: splits.Manifest,
        part: str,
        boxes: Path | None = None,
        crops: Crops = sample.crops,
    ):
        dataset = splits.select(manifest, root, part)
        self.dataset = dataset if boxes is None else coco.with_detections(dataset, boxes)
        self.recipe, self.crops = recipe, crops
        pairs = [geometry.center_scale(box, recipe.model.input_size) for box in self.dataset.boxes]
        self.centers = np.array([center for center, _ in pairs], np.float32)
        self.scales = np.array([scale for _, scale in pairs], np.float32)

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, start: int, stop: int) -> np.ndarray:
        """Return the inputs start..stop as (n, H, W, 3) uint8 RGB."""
        return self.crops(self.dataset, self.recipe, range(start, min(stop, len(self))))

    def batches(self, size: int, *, ahead: int = 2) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield (start, stop, images) over all inputs; a thread decodes `ahead` batches in advance."""
        spans = [(start, min(start + size, len(self))) for start in range(0, len(self), size)]
        with ThreadPoolExecutor(max_workers=ahead) as pool:
            pending: deque[Future[np.ndarray]] = deque()
            for number, (start, stop) in enumerate(spans):
                while len(pending) < min(ahead, len(spans) - number):
                    pending.append(pool.submit(self.batch, *spans[number + len(pending)]))
                yield start, stop, pending.popleft().result()

    def targets(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return unaugmented heatmaps (n, K, h, w) and weights (n, K) of the instances start..stop."""
        model = self.recipe.model
        pairs = []
        for i in range(start, stop):
            to_input = geometry.affine(self.centers[i], self.scales[i], 0.0, model.input_size)
            keypoints = geometry.apply(to_input, self.dataset.keypoints_image[i])
            labelled = self.dataset.labelled[i]
            pairs.append(
                heatmap.encode(keypoints, labelled, model.input_size, model.heatmap_size, model.sigma_px)
            )
        return np.stack([h for h, _ in pairs]), np.stack([w for _, w in pairs])


def straight_and_averaged(
    infer: Infer, images: np.ndarray, options: Evaluation
) -> tuple[np.ndarray, np.ndarray]:
    """Return heatmaps (N, K, h, w) of images (N, H, W, 3): alone, and averaged with the mirror's if asked."""
    straight = infer(images)
    if not options.flip_test:
        return straight, straight
    mirrored = infer(np.ascontiguousarray(images[:, :, ::-1]))
    back = heatmap.flip_back(mirrored, COCO.flip_order, shift=options.shift_flipped)
    return straight, (straight + back) * np.float32(0.5)


class Collector:
    """Gathers decoded keypoints batch by batch and turns them into COCO results at the end."""

    def __init__(self, inputs: Inputs):
        self.inputs = inputs
        self.keypoints: list[np.ndarray] = []
        self.scores: list[np.ndarray] = []

    def add(self, start: int, stop: int, maps: np.ndarray) -> None:
        """Decode heatmaps (n, K, h, w) of the inputs start..stop; UserError where they are not finite."""
        found = evaluate.keypoints_in_image(
            maps, self.inputs.centers[start:stop], self.inputs.scales[start:stop]
        )
        # A maximum over numbers of which one is not finite is not finite either.
        lost = ~np.isfinite(found[1]).all(axis=1)
        if lost.any():
            person = self.inputs.dataset.ann_ids[start + int(lost.argmax())]
            raise UserError(
                f"the heatmaps of {int(lost.sum())} of {len(lost)} people are not finite (first: {person}); "
                "expected finite numbers; look at the weights, and at the precision that they ran in"
            )
        self.keypoints.append(found[0])
        self.scores.append(found[1])

    def results(self) -> list[dict[str, Any]]:
        """Return the predictions in COCO results format."""
        dataset = self.inputs.dataset
        return evaluate.results(
            np.concatenate(self.keypoints),
            np.concatenate(self.scores),
            dataset.image_ids,
            dataset.box_scores,
            self.inputs.scales,
            self.inputs.recipe.evaluation,
        )


def predict(
    infer: Infer,
    inputs: Inputs,
    *,
    on_maps: Callable[[np.ndarray], None] | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return COCO results of all `inputs`; `on_maps` sees each batch's maps, `on_batch` the count done."""
    options = inputs.recipe.evaluation
    collector = Collector(inputs)
    for start, stop, images in inputs.batches(options.batch_size):
        _, maps = straight_and_averaged(infer, images, options)
        collector.add(start, stop, maps)
        if on_maps:
            on_maps(maps)
        if on_batch:
            on_batch(stop, len(inputs))
    return collector.results()


def validate(infer: Infer, inputs: Inputs, epoch: int) -> tuple[float, list[dict[str, Any]]]:
    """Return the validation loss (mean over instances, unaugmented, no flip) and COCO results.

    Raises UserError naming `epoch` and the batch's annotation ids when the loss is not finite.
    """
    options = inputs.recipe.evaluation
    collector = Collector(inputs)
    total = 0.0
    for start, stop, images in inputs.batches(options.batch_size):
        straight, maps = straight_and_averaged(infer, images, options)
        loss = training.loss(straight, *inputs.targets(start, stop))
        training.require_finite(loss, epoch, inputs.dataset.ann_ids[start:stop].tolist())
        total += loss * (stop - start)
        collector.add(start, stop, maps)
    return total / len(inputs), collector.results()
