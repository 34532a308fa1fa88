"""tf.data over `pose.sample`, or over TensorFlow's own pixels: a parallel map, one fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import tensorflow as tf

from pose import augment, sample
from pose.coco import Dataset as Instances
from pose.errors import UserError
from pose.recipe import Recipe
from tf_impl import native


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


class _NativeSamples:
    """Samples by (epoch, instance index) whose pixels are made in the graph; epoch 0 is unaugmented.

    Python gives what is small beforehand, placements and `pose.heatmap`'s targets, and reads no pixel.
    """

    def __init__(self, instances: Instances, recipe: Recipe):
        self.instances, self.recipe = instances, recipe

    def given(self, order: _Order) -> Iterator[tuple[np.ndarray | str | int, ...]]:
        """Yield path, stored size (height, width), transform (8,), heatmaps, weights and id of each key."""
        for epoch, index in order:
            placed = sample.place(self.instances, index, self.recipe, epoch=epoch or None)
            record = self.instances.record(index)
            yield (
                str(self.instances.image_path(record.id)),
                np.array([record.height, record.width], np.int32),
                native.transform(placed, self.recipe.model.input_size),
                *sample.target(self.instances, index, self.recipe, placed),
                self.instances.ann_ids[index],
            )

    def make(
        self, path: tf.Tensor, stored: tf.Tensor, to_image: tf.Tensor, *rest: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return image, heatmaps, weights and id, in the graph."""
        image = native.decode(path)
        with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(image)[:2], stored)]):
            return native.warp(image, to_image, self.recipe.model.input_size), *rest

    def problem(self, order: list[tuple[int, int]]) -> UserError | None:
        """Return what is wrong with the first unusable image of `order`, which a graph cannot say."""
        for _, index in order:
            try:
                native.read(self.instances, index)
            except UserError as error:
                return error
        return None


def _start_worker(_: int) -> None:
    cv2.setNumThreads(1)


def crops(instances: Instances, recipe: Recipe, indices: Sequence[int]) -> np.ndarray:
    """Return unaugmented inputs (n, H, W, 3) uint8 RGB by the recipe's pipeline; UserError if unreadable."""
    if recipe.data.pipeline == "shared":
        return sample.crops(instances, recipe, indices)
    return np.stack([native.crop(instances, index, recipe) for index in indices])


class Loader:
    """The batches of a training part, epoch by epoch.

    `workers` threads make the samples; 0 makes them one after another.
    """

    def __init__(self, instances: Instances, recipe: Recipe, workers: int):
        _start_worker(0)
        self.order = _Order(len(instances), recipe)
        self.samples = _Samples(instances, recipe)
        self.native = _NativeSamples(instances, recipe) if recipe.data.pipeline == "native" else None
        self.batch_size, self.workers = recipe.training.batch_size, workers

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        """Yield the batches of `epoch` (from 1) in its seeded order, or unaugmented in order of id for None.

        Raises UserError for an unreadable image.
        """
        self.order.epoch, self.samples.error = epoch, None
        samples = self._native_map(self.native) if self.native else self._shared_map()
        batches = samples.batch(self.batch_size).prefetch(2).with_options(self._options())
        given = 0
        try:
            for columns in batches.as_numpy_iterator():
                given += self.batch_size
                yield Batch(*columns)
        except tf.errors.OpError as error:
            # Batches come in order: the sample that failed is one of the next.
            failed = list(self.order)[given : given + self.batch_size]
            problem = self.native.problem(failed) if self.native else self.samples.error
            raise problem or error from error

    def _options(self) -> tf.data.Options:
        options = tf.data.Options()
        # A pool of its own: training leaves TensorFlow's with one thread.
        options.threading.private_threadpool_size = max(self.workers, 1)
        # There is nothing to tune, and its thread sleeps 10, 20, 40 ms and so on: now and then an epoch's
        # end waits for it to wake, 10.2, 20.5 or 41 s after the epoch's start.
        options.autotune.enabled = False
        return options

    def _shared_map(self) -> tf.data.Dataset:
        types = (tf.uint8, tf.float32, tf.float32, tf.int64)
        # Where order must be deterministic, as in training, TensorFlow calls one stateful function at a
        # time; a sample depends on its key alone.
        return tf.data.Dataset.from_tensor_slices(list(self.order)).map(
            lambda key: tf.numpy_function(self.samples.__getitem__, [key], types, stateful=False),
            num_parallel_calls=max(self.workers, 1),
            deterministic=True,
        )

    def _native_map(self, samples: _NativeSamples) -> tf.data.Dataset:
        kinds = (tf.string, tf.int32, tf.float32, tf.float32, tf.float32, tf.int64)
        ranks = (0, 1, 1, 3, 1, 0)
        signature = [tf.TensorSpec([None] * rank, kind) for rank, kind in zip(ranks, kinds, strict=True)]
        return tf.data.Dataset.from_generator(
            lambda: samples.given(self.order), output_signature=tuple(signature)
        ).map(samples.make, num_parallel_calls=max(self.workers, 1), deterministic=True)
