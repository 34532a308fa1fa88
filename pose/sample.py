"""Annotation -> (image, heatmaps, weights): the one definition of a training sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose import augment, geometry, heatmap
from pose.coco import Dataset
from pose.recipe import Recipe
from pose.skeleton import COCO


@dataclass(frozen=True, eq=False)
class Sample:
    """image (H, W, 3) uint8 RGB; heatmaps (K, h, w) float32; weights (K,) float32; affine (2, 3) float64.

    The affine maps the stored image to the input, a mirror included; a mirrored sample has a
    negative determinant, and its left and right joints have changed places.
    """

    image: np.ndarray
    heatmaps: np.ndarray
    weights: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a sample lies in its image, before any pixel is read.

    center (2,) in image pixels and scale (2,) in units of 200 pixels, float32, of the image that
    `parameters.flip` has mirrored where it says so; to_input (2, 3) float64 maps that image to the input.
    """

    parameters: augment.Parameters
    image_width: int
    center: np.ndarray
    scale: np.ndarray
    to_input: np.ndarray

    @property
    def affine(self) -> np.ndarray:
        """Return the affine (2, 3) float64 from the stored image to the input, a mirror included."""
        if not self.parameters.flip:
            return self.to_input
        return geometry.mirrored(self.to_input, self.image_width)


def place(
    dataset: Dataset, index: int, recipe: Recipe, *, epoch: int | None, seed: int | None = None
) -> Placement:
    """Return where instance `index` lies in `epoch` (from 1), or unaugmented for None.

    `seed` is the recipe's unless given. The steps and their order are the reference's
    (Xiao et al. 2018, code, lib/dataset/JointsDataset.py).
    """
    parameters = augment.NEUTRAL
    if epoch is not None:
        seed = recipe.training.seed if seed is None else seed
        parameters = augment.draw(recipe.training.augmentation, seed, epoch, int(dataset.ann_ids[index]))
    center, scale = geometry.center_scale(dataset.boxes[index], recipe.model.input_size)
    scale = scale * np.float32(parameters.scale_factor)
    width = dataset.record(index).width
    if parameters.flip:
        center[0] = width - center[0] - 1
    to_input = geometry.affine(center, scale, parameters.rotation_deg, recipe.model.input_size)
    return Placement(parameters, width, center, scale, to_input)


def target(
    dataset: Dataset, index: int, recipe: Recipe, placement: Placement
) -> tuple[np.ndarray, np.ndarray]:
    """Return heatmaps (K, h, w) and weights (K,) float32 of instance `index`, placed."""
    keypoints, labelled = dataset.keypoints_image[index], dataset.labelled[index]
    if placement.parameters.flip:
        keypoints = (keypoints * [-1, 1] + [placement.image_width - 1, 0])[COCO.flip_order]
        labelled = labelled[COCO.flip_order]
    return heatmap.encode(
        geometry.apply(placement.to_input, keypoints),
        labelled,
        recipe.model.input_size,
        recipe.model.heatmap_size,
        recipe.model.sigma_px,
    )


def make(
    dataset: Dataset, index: int, recipe: Recipe, *, epoch: int | None, seed: int | None = None
) -> Sample:
    """Return instance `index` as the network sees it in `epoch` (from 1), or unaugmented for None.

    Raises UserError for an unreadable image.
    """
    placement = place(dataset, index, recipe, epoch=epoch, seed=seed)
    image = dataset.read(index)
    if placement.parameters.flip:
        image = image[:, ::-1]
    pixels = geometry.warp(image, placement.to_input, recipe.model.input_size)
    pixels = augment.occlude(augment.recolour(pixels, placement.parameters), placement.parameters)
    return Sample(pixels, *target(dataset, index, recipe, placement), placement.affine)


def crop(dataset: Dataset, index: int, input_size: tuple[int, int]) -> np.ndarray:
    """Return the unaugmented input (H, W, 3) uint8 RGB of instance `index`; no target is made."""
    center, scale = geometry.center_scale(dataset.boxes[index], input_size)
    return cut(dataset.read(index), center, scale, input_size)


def cut(image: np.ndarray, center: np.ndarray, scale: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """Return the unaugmented input (H, W, 3) uint8 RGB of one box of a decoded image.

    center (2,) and scale (2,) as geometry.center_scale gives them; input_size is (width, height).
    """
    return geometry.warp(image, geometry.affine(center, scale, 0.0, input_size), input_size)


def crops(dataset: Dataset, recipe: Recipe, indices: Sequence[int]) -> np.ndarray:
    """Return the unaugmented inputs (n, H, W, 3) uint8 RGB of the instances `indices`."""
    return np.stack([crop(dataset, index, recipe.model.input_size) for index in indices])
