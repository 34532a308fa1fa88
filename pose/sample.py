"""Annotation -> (image, heatmaps, weights): the one definition of a training sample."""

from __future__ import annotations

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


def make(
    dataset: Dataset, index: int, recipe: Recipe, *, epoch: int | None, seed: int | None = None
) -> Sample:
    """Return instance `index` as the network sees it in `epoch` (from 1), or unaugmented for None.

    `seed` is the recipe's unless given. The steps and their order are the reference's
    (Xiao et al. 2018, code, lib/dataset/JointsDataset.py). Raises UserError for an unreadable image.
    """
    parameters = augment.NEUTRAL
    if epoch is not None:
        seed = recipe.training.seed if seed is None else seed
        parameters = augment.draw(recipe.training.augmentation, seed, epoch, int(dataset.ann_ids[index]))
    image = dataset.read(index)
    keypoints, labelled = dataset.keypoints_image[index], dataset.labelled[index]
    center, scale = geometry.center_scale(dataset.boxes[index], recipe.model.input_size)
    scale = scale * np.float32(parameters.scale_factor)
    width = image.shape[1]
    if parameters.flip:
        image = image[:, ::-1]
        keypoints = (keypoints * [-1, 1] + [width - 1, 0])[COCO.flip_order]
        labelled = labelled[COCO.flip_order]
        center[0] = width - center[0] - 1
    to_input = geometry.affine(center, scale, parameters.rotation_deg, recipe.model.input_size)
    pixels = geometry.warp(image, to_input, recipe.model.input_size)
    pixels = augment.occlude(augment.recolour(pixels, parameters), parameters)
    heatmaps, weights = heatmap.encode(
        geometry.apply(to_input, keypoints),
        labelled,
        recipe.model.input_size,
        recipe.model.heatmap_size,
        recipe.model.sigma_px,
    )
    stored_to_input = geometry.mirrored(to_input, width) if parameters.flip else to_input
    return Sample(pixels, heatmaps, weights, stored_to_input)


def crop(dataset: Dataset, index: int, input_size: tuple[int, int]) -> np.ndarray:
    """Return the unaugmented input (H, W, 3) uint8 RGB of instance `index`; no target is made."""
    center, scale = geometry.center_scale(dataset.boxes[index], input_size)
    return geometry.warp(dataset.read(index), geometry.affine(center, scale, 0.0, input_size), input_size)
