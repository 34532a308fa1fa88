"""The pipeline that a PyTorch user writes: torchvision.io and torchvision.transforms.v2 on tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.io import decode_image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as v2

from pose import geometry, sample
from pose.coco import Dataset as Instances
from pose.errors import UserError
from pose.images import require_common
from pose.recipe import Recipe

DECODER = "torchvision asks libjpeg for the accurate integer DCT, as OpenCV does; aligned: the same"
WARP = (
    "v2.functional.affine counts from pixel corners, OpenCV from pixel centres: a shift of (1 - scale) / 2 "
    "input pixels; border and rounding are OpenCV's; aligned: centre moved by half a pixel"
)


@dataclass(frozen=True)
class Transform:
    """A mirror, and what v2.functional.affine is told."""

    flip: bool
    center: tuple[float, float]
    affine: dict[str, Any]


def decode(path: str, *, aligned: bool = False) -> Tensor:
    """Return an image as (3, h, w) uint8 RGB; `aligned` changes nothing, as it is OpenCV's image already.

    Raises RuntimeError for a file that is missing, truncated or no image.
    """
    image = decode_image(path, mode="RGB")
    # Of 16 bits a channel the upper 8 are kept, as OpenCV and TensorFlow do.
    return (image.to(torch.int32) >> 8).to(torch.uint8) if image.dtype == torch.uint16 else image


def transform(placement: sample.Placement, size: tuple[int, int]) -> Transform:
    """Return the mirror, turn, scale and shift from the stored image to an input of `size` (width, height).

    torchvision turns clockwise, the reference anticlockwise.
    """
    x, y = placement.center.tolist()
    told = {
        "angle": -placement.parameters.rotation_deg,
        "translate": [size[0] * 0.5 - x, size[1] * 0.5 - y],
        "scale": size[0] / (float(placement.scale[0]) * geometry.PIXEL_STD),
        "shear": [0.0, 0.0],
        "interpolation": InterpolationMode.BILINEAR,
    }
    return Transform(placement.parameters.flip, (x, y), told)


def warp(image: Tensor, to_input: Transform, size: tuple[int, int], *, aligned: bool = False) -> Tensor:
    """Return the crop (3, H, W) uint8 of `size` (width, height): bilinear, black border.

    v2.functional.affine is the one transform of v2 that takes the drawn parameters as they are, in
    one interpolation; resized_crop cannot turn and takes whole pixels. Its output is as large as the
    image, so a smaller image is padded. `aligned` gives the centre as torchvision counts it.
    """
    width, height = size
    if to_input.flip:
        image = v2.horizontal_flip(image)
    missing = [0, 0, max(0, width - image.shape[2]), max(0, height - image.shape[1])]
    center = [c + 0.5 if aligned else c for c in to_input.center]
    whole = v2.affine(v2.pad(image, missing), center=center, **to_input.affine)
    return v2.crop(whole, 0, 0, height, width)


def crop(instances: Instances, index: int, recipe: Recipe) -> np.ndarray:
    """Return the unaugmented input (H, W, 3) uint8 RGB of instance `index`; UserError if it is unreadable."""
    placement = sample.place(instances, index, recipe, epoch=None)
    return warped(read(instances, index), placement, recipe.model.input_size)


def read(instances: Instances, index: int, *, aligned: bool = False) -> np.ndarray:
    """Return the image (h, w, 3) uint8 RGB of instance `index`; UserError if it cannot be used."""
    path = instances.image_path(int(instances.image_ids[index]))
    try:
        image = decode(str(path), aligned=aligned)
    except (RuntimeError, ValueError) as error:
        instances.read(index)  # says it better where OpenCV cannot read it either
        require_common(path)
        raise UserError(
            f"{path}: torchvision cannot decode it; expected a whole JPEG; copy it again"
        ) from error
    require_common(path)
    instances.require_size(index, image.shape[2], image.shape[1])
    return image.permute(1, 2, 0).numpy()


def warped(
    image: np.ndarray, placement: sample.Placement, size: tuple[int, int], *, aligned: bool = False
) -> np.ndarray:
    """Return the crop (H, W, 3) uint8 of an image (h, w, 3) uint8 that is already decoded."""
    planes = torch.from_numpy(image).permute(2, 0, 1)
    made = warp(planes, transform(placement, size), size, aligned=aligned)
    return made.permute(1, 2, 0).contiguous().numpy()
