"""Augmentation drawn from a counter-based generator keyed by (seed, epoch, annotation id).

Philox (Salmon et al., SC 2011) turns a key and a counter into bits without any state, so
order, worker and framework cannot change a sample. The draws use the raw bits and formulas
written out here, since NumPy's own distributions may change between its releases.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np

from pose.training_section import Augmentation, ColourJitter, Occlusion

_SAMPLE_STREAM = 1
_ORDER_STREAM = 2
_WEIGHT_STREAM = 3
_SLOTS = 16


@dataclass(frozen=True)
class Parameters:
    """What is done to one sample. The neutral values are those of validation."""

    scale_factor: float = 1.0
    rotation_deg: float = 0.0
    flip: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    occluder: tuple[float, float, float, float] | None = None
    """Left, top, width, height of the painted rectangle as fractions of the input."""


NEUTRAL = Parameters()


def _uniforms(seed: int, epoch: int, number: int, stream: int, count: int) -> np.ndarray:
    """Return `count` float64 in [0, 1), a pure function of the arguments."""
    # As uint64 arrays: NumPy takes a list with a number of 2^63 or more through float64.
    key = np.array([seed % 2**64, stream], np.uint64)
    counter = np.array([0, 0, epoch, number % 2**64], np.uint64)
    generator = np.random.Philox(key=key, counter=counter)
    return np.asarray((generator.random_raw(count) >> np.uint64(11)) * 2.0**-53)


def _normal(u: float, v: float) -> float:
    """Return a standard normal deviate from two uniforms (Box and Muller 1958)."""
    return math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)


def deviates(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return standard normal deviates of `shape`, float64, keyed by (seed, name)."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    count = math.prod(shape)
    u, v = _uniforms(seed, 0, number, _WEIGHT_STREAM, 2 * count).reshape(2, count)
    return np.asarray((np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)).reshape(shape))


def draw(options: Augmentation, seed: int, epoch: int, annotation_id: int) -> Parameters:
    """Return the parameters of one training sample (JointsDataset.__getitem__ for the first three).

    Every purpose has its own slot of the stream: switching an option on or off leaves the
    other draws as they were.
    """
    u = _uniforms(seed, epoch, annotation_id, _SAMPLE_STREAM, _SLOTS).tolist()
    scale = min(max(_normal(u[0], u[1]) * options.scale + 1, 1 - options.scale), 1 + options.scale)
    limit = 2 * options.rotation_deg
    turned = min(max(_normal(u[2], u[3]) * options.rotation_deg, -limit), limit)
    jitter = options.colour_jitter or ColourJitter()
    return Parameters(
        scale_factor=scale,
        rotation_deg=turned if u[4] < options.rotation_p else 0.0,
        flip=u[5] < options.flip_p,
        brightness=1 + jitter.brightness * (2 * u[6] - 1),
        contrast=1 + jitter.contrast * (2 * u[7] - 1),
        saturation=1 + jitter.saturation * (2 * u[8] - 1),
        occluder=_occluder(options.occlusion, u[9:14]),
    )


def _occluder(options: Occlusion | None, u: list[float]) -> tuple[float, float, float, float] | None:
    if options is None or u[0] >= options.p:
        return None
    area = options.min_area + (options.max_area - options.min_area) * u[1]
    aspect = math.exp((2 * u[2] - 1) * math.log(3))
    width, height = min(1.0, math.sqrt(area * aspect)), min(1.0, math.sqrt(area / aspect))
    return (1 - width) * u[3], (1 - height) * u[4], width, height


def recolour(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the input (H, W, 3) uint8 with brightness, contrast and saturation changed, in that order.

    Blends as ITU-R 601 luma does: contrast with the mean luma, saturation with each pixel's.
    """
    if parameters.brightness == parameters.contrast == parameters.saturation == 1.0:
        return image
    pixels = image.astype(np.float32) * np.float32(parameters.brightness)
    mean = np.float32(_luma(pixels).mean(dtype=np.float64))
    pixels = mean + (pixels - mean) * np.float32(parameters.contrast)
    luma = _luma(pixels)[..., None]
    pixels = luma + (pixels - luma) * np.float32(parameters.saturation)
    return np.asarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _luma(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return np.asarray(red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114))


def occlude(image: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Return the input (H, W, 3) uint8 with the drawn rectangle in the image's mean colour."""
    if parameters.occluder is None:
        return image
    height, width = image.shape[:2]
    left, top, w, h = parameters.occluder
    corner = (int(left * width), int(top * height))
    opposite = (int((left + w) * width), int((top + h) * height))
    painted = image.copy()
    colour = [float(round(c)) for c in image.reshape(-1, 3).mean(axis=0, dtype=np.float64)]
    return np.asarray(cv2.rectangle(painted, corner, opposite, colour, thickness=cv2.FILLED))


def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """Return a permutation of `count` (count,) int64: the order of an epoch, the same everywhere."""
    return np.argsort(_uniforms(seed, epoch, 0, _ORDER_STREAM, count), kind="stable").astype(np.int64)
