"""From a person's box to the network's input and back.

Frames: `image` is the decoded picture, `input` the network's crop, `heatmap` its output.
Source: Xiao et al. 2018 and its code, lib/utils/transforms.py and lib/dataset/coco.py.
"""

from __future__ import annotations

import cv2
import numpy as np

PIXEL_STD = 200.0
"""COCO scales are in units of 200 pixels."""

BOX_PADDING = 1.25


def clip_box(box: np.ndarray, width: int, height: int) -> np.ndarray | None:
    """Return the box (x, y, w, h) clipped to an image of `width` x `height`, None when nothing is left.

    The reference counts a box's last pixel as x + w - 1, so a clipped box is a pixel smaller;
    one that thereby shrinks to a point has no crop.
    """
    x, y, w, h = (float(v) for v in box)
    x1, y1 = max(0.0, x), max(0.0, y)
    x2 = min(width - 1.0, x1 + max(0.0, w - 1))
    y2 = min(height - 1.0, y1 + max(0.0, h - 1))
    if x2 < x1 or y2 < y1 or (x2 == x1 and y2 == y1):
        return None
    return np.array([x1, y1, x2 - x1, y2 - y1])


def center_scale(box: np.ndarray, input_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return centre (2,) in image pixels and scale (2,) in units of 200 pixels, float32.

    The box (x, y, w, h) grows to the aspect ratio of `input_size` (width, height), then by 1.25.
    """
    x, y, w, h = (float(v) for v in box)
    aspect = input_size[0] / input_size[1]
    center = np.array([x + w * 0.5, y + h * 0.5], np.float32)
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = h * aspect
    scale = np.array([w / PIXEL_STD, h / PIXEL_STD], np.float32)
    return center, scale * np.float32(BOX_PADDING)


def affine(
    center: np.ndarray,
    scale: np.ndarray,
    rotation_deg: float,
    size: tuple[int, int],
    *,
    inverse: bool = False,
) -> np.ndarray:
    """Return the (2, 3) float64 affine from image to a crop of `size` (width, height), or back.

    Fixed by three points: the centre goes to the middle of the crop, the point half a box
    width above it (turned by `rotation_deg`) to half a crop width above, and the third
    completes a right angle. Only the width of `scale` counts: the box has the crop's aspect.
    """
    source_width = scale[0] * np.float32(PIXEL_STD)
    width, height = size
    source = np.zeros((3, 2), np.float32)
    target = np.zeros((3, 2), np.float32)
    source[0] = center
    source[1] = center + _turned(np.array([0, source_width * -0.5]), np.pi * rotation_deg / 180)
    target[0] = [width * 0.5, height * 0.5]
    target[1] = [width * 0.5, height * 0.5 - width * 0.5]
    source[2] = _right_angle(source[0], source[1])
    target[2] = _right_angle(target[0], target[1])
    if inverse:
        source, target = target, source
    return np.asarray(cv2.getAffineTransform(source, target))


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points (..., 2) mapped by a (2, 3) affine, float64."""
    points = np.asarray(points, np.float64)
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def mirrored(transform: np.ndarray, width: int) -> np.ndarray:
    """Return the affine that first mirrors the image (x -> width - 1 - x), then applies `transform`."""
    mirror = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(transform @ mirror)


def warp(image: np.ndarray, transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the crop (height, width, 3) uint8 of `size` (width, height): bilinear, black border."""
    return np.asarray(cv2.warpAffine(image, transform, size, flags=cv2.INTER_LINEAR))


def _turned(vector: np.ndarray, angle_rad: float) -> np.ndarray:
    sine, cosine = np.sin(angle_rad), np.cos(angle_rad)
    return np.array([vector[0] * cosine - vector[1] * sine, vector[0] * sine + vector[1] * cosine])


def _right_angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    direction = a - b
    return b + np.array([-direction[1], direction[0]], np.float32)
