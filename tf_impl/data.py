"""tf.data over `pose.sample`: a parallel map, one fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import tensorflow as tf

from pose import augment, sample
from pose.coco import Dataset as Instances
from pose.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Batch:
    """images (B, H, W, 3) uint8; heatmaps (B, K, h, w), weights (B, K) float32; annotation_ids (B,) int64."""

    images: np.ndarray
    heatmaps: np.ndarray
    weights: np.ndarray
    annotation_ids: np.ndarray


class _Samples:
    """Samples by (epoch, instance index); epoch 0 is unaugmented.

    Keeps the first error of an epoch, which tf.data would bury in its own.
    """

    def __init__(self, instances: Instances, recipe: Recipe):
        self.instances, self.recipe = instances, recipe
        self.error: Exception | None = None

    def __getitem__(self, key: np.ndarray) -> tuple[np.ndarray, ...]:
        epoch, index = key.tolist()
        try:
            made = sample.make(self.instances, index, self.recipe, epoch=epoch or None)
        except Exception as error:
            self.error = self.error or error
            raise
        return made.image, made.heatmaps, made.weights, self.instances.ann_ids[index]


class _Order:
    """Pairs (epoch, index) of whichever epoch is asked for next."""

    def __init__(self, count: int, recipe: Recipe):
        self.count, self.recipe = count, recipe
        self.epoch: int | None = None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        indices = np.arange(self.count)
        if self.epoch is not None:
            indices = augment.order(self.recipe.training.seed, self.epoch, self.count)
        yield from ((self.epoch or 0, int(i)) for i in indices)


def _start_worker(_: int) -> None:
    cv2.setNumThreads(1)


class Loader:
    """The batches of a training part, epoch by epoch.

    `workers` threads make the samples; 0 makes them one after another.
    """

    def __init__(self, instances: Instances, recipe: Recipe, workers: int):
        _start_worker(0)
        self.order = _Order(len(instances), recipe)
        self.samples = _Samples(instances, recipe)
        self.batch_size, self.workers = recipe.training.batch_size, workers

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        """Yield the batches of `epoch` (from 1) in its seeded order, or unaugmented in order of id for None.

        Raises UserError for an unreadable image.
        """
        self.order.epoch, self.samples.error = epoch, None
        types = (tf.uint8, tf.float32, tf.float32, tf.int64)
        dataset = tf.data.Dataset.from_tensor_slices(list(self.order)).map(
            lambda key: tf.numpy_function(self.samples.__getitem__, [key], types),
            num_parallel_calls=max(self.workers, 1),
            deterministic=True,
        )
        try:
            for columns in dataset.batch(self.batch_size).prefetch(2).as_numpy_iterator():
                yield Batch(*columns)
        except tf.errors.OpError as error:
            raise self.samples.error or error from error
