"""DataLoader over `pose.sample`, or over torchvision's own pixels: worker processes, one fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from pose import augment, sample
from pose.coco import Dataset as Instances
from pose.errors import UserError
from pose.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Batch:
    """images (B, H, W, 3) uint8; heatmaps (B, K, h, w), weights (B, K) float32; annotation_ids (B,) int64."""

    images: np.ndarray
    heatmaps: np.ndarray
    weights: np.ndarray
    annotation_ids: np.ndarray


class _Samples(Dataset):
    """Samples by (epoch, instance index); epoch None is unaugmented.

    Returns a UserError instead of raising it, which torch would bury in its own.
    """

    def __init__(self, instances: Instances, recipe: Recipe):
        self.instances, self.recipe = instances, recipe

    def __getitem__(self, key: tuple[int | None, int]) -> tuple[np.ndarray, ...] | UserError:
        epoch, index = key
        try:
            made = self._make(index, epoch)
        except UserError as error:
            return error
        return made.image, made.heatmaps, made.weights, self.instances.ann_ids[index]

    def _make(self, index: int, epoch: int | None) -> sample.Sample:
        return sample.make(self.instances, index, self.recipe, epoch=epoch)


class _NativeSamples(_Samples):
    """Samples by (epoch, instance index) whose pixels are torchvision's; epoch None is unaugmented."""

    def _make(self, index: int, epoch: int | None) -> sample.Sample:
        # Imported here: a worker of the shared pipeline starts a second sooner without torchvision.
        from torch_impl import native

        placed = sample.place(self.instances, index, self.recipe, epoch=epoch)
        image = native.read(self.instances, index)
        pixels = native.warped(image, placed, self.recipe.model.input_size)
        targets = sample.target(self.instances, index, self.recipe, placed)
        return sample.Sample(pixels, *targets, placed.affine)


class _Order(Sampler):
    """Lists of (epoch, index), one a batch, of whichever epoch is asked for next."""

    def __init__(self, count: int, recipe: Recipe):
        self.count, self.recipe = count, recipe
        self.epoch: int | None = None

    def __iter__(self) -> Iterator[list[tuple[int | None, int]]]:
        indices = np.arange(self.count)
        if self.epoch is not None:
            indices = augment.order(self.recipe.training.seed, self.epoch, self.count)
        for start in range(0, self.count, self.recipe.training.batch_size):
            yield [(self.epoch, int(i)) for i in indices[start : start + self.recipe.training.batch_size]]


def _collate(samples: list[tuple[np.ndarray, ...] | UserError]) -> Batch | UserError:
    for made in samples:
        if isinstance(made, UserError):
            return made
    return Batch(*(np.stack(column) for column in zip(*samples, strict=True)))


def _start_worker(_: int) -> None:
    cv2.setNumThreads(1)


def crops(instances: Instances, recipe: Recipe, indices: Sequence[int]) -> np.ndarray:
    """Return unaugmented inputs (n, H, W, 3) uint8 RGB by the recipe's pipeline; UserError if unreadable."""
    if recipe.data.pipeline == "shared":
        return sample.crops(instances, recipe, indices)
    from torch_impl import native

    return np.stack([native.crop(instances, index, recipe) for index in indices])


class Loader:
    """The batches of a training part, epoch by epoch.

    `workers` processes make the samples; 0 makes them here. They live as long as the loader, and
    start fresh: a fork would inherit the locks of thread pools that do not exist in the child.
    """

    def __init__(self, instances: Instances, recipe: Recipe, workers: int):
        _start_worker(0)
        self.order = _Order(len(instances), recipe)
        samples = _NativeSamples if recipe.data.pipeline == "native" else _Samples
        self.loader = DataLoader(
            samples(instances, recipe),
            batch_sampler=self.order,
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=_start_worker,
            persistent_workers=workers > 0,
            multiprocessing_context="spawn" if workers else None,
        )

    def batches(self, epoch: int | None) -> Iterator[Batch]:
        """Yield the batches of `epoch` (from 1) in its seeded order, or unaugmented in order of id for None.

        Raises UserError for an unreadable image.
        """
        self.order.epoch = epoch
        for made in self.loader:
            if isinstance(made, UserError):
                raise made
            yield made
