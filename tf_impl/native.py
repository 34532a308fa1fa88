"""The pipeline that a TensorFlow user writes: tf.io.decode_jpeg and a projective transform of images."""

from __future__ import annotations

import cv2
import numpy as np
import tensorflow as tf

from pose import sample
from pose.coco import Dataset as Instances
from pose.errors import UserError
from pose.images import require_common
from pose.recipe import Recipe

DECODER = "tf.io.decode_jpeg's default dct_method is libjpeg's fast integer DCT; aligned: INTEGER_ACCURATE"
WARP = (
    "ImageProjectiveTransformV3 cuts off the fraction of uint8 results; pixel centres and border are "
    "OpenCV's; aligned: float32, rounded"
)


def decode(path: tf.Tensor | str, *, aligned: bool = False) -> tf.Tensor:
    """Return an image as (h, w, 3) uint8 RGB; `aligned`: with the DCT that OpenCV and torchvision use.

    Raises tf.errors.OpError for a file that is missing, truncated or no image.
    """
    method = "INTEGER_ACCURATE" if aligned else ""
    return tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method=method)


def transform(placement: sample.Placement, size: tuple[int, int]) -> np.ndarray:
    """Return the eight float32 of a projective transform, from input pixels to the stored image's.

    A mirror is part of it; `size` is in the affine already.
    """
    inverse = cv2.invertAffineTransform(placement.affine)
    return np.array([*inverse.ravel(), 0, 0], np.float32)


def warp(image: tf.Tensor, to_image: tf.Tensor, size: tuple[int, int], *, aligned: bool = False) -> tf.Tensor:
    """Return the crop (H, W, 3) uint8 of `size` (width, height): bilinear, black border.

    `aligned` interpolates in float32 and rounds, where the operation on uint8 truncates.
    """
    width, height = size
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None] if aligned else image[None],
        transforms=tf.convert_to_tensor(to_image)[None],
        output_shape=tf.constant([height, width]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    return tf.cast(tf.round(warped), tf.uint8) if aligned else warped


def crop(instances: Instances, index: int, recipe: Recipe) -> np.ndarray:
    """Return the unaugmented input (H, W, 3) uint8 RGB of instance `index`; UserError if it is unreadable."""
    placement = sample.place(instances, index, recipe, epoch=None)
    return warped(read(instances, index), placement, recipe.model.input_size)


def read(instances: Instances, index: int, *, aligned: bool = False) -> np.ndarray:
    """Return the image (h, w, 3) uint8 RGB of instance `index`; UserError if it cannot be used."""
    path = instances.image_path(int(instances.image_ids[index]))
    try:
        image = decode(str(path), aligned=aligned).numpy()
    except tf.errors.OpError as error:
        instances.read(index)  # says it better where OpenCV cannot read it either
        require_common(path)
        raise UserError(
            f"{path}: TensorFlow cannot decode it; expected a whole JPEG; copy it again"
        ) from error
    require_common(path)
    instances.require_size(index, image.shape[1], image.shape[0])
    return image


def warped(
    image: np.ndarray, placement: sample.Placement, size: tuple[int, int], *, aligned: bool = False
) -> np.ndarray:
    """Return the crop (H, W, 3) uint8 of an image (h, w, 3) uint8 that is already decoded."""
    return warp(tf.constant(image), transform(placement, size), size, aligned=aligned).numpy()
