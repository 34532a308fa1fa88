"""How far heatmaps may lie from others of the same weights: what float32 rounds, and no more."""

from __future__ import annotations

import math

import numpy as np

CEILING = 1e-5
WHY_CEILING = (
    "1e-5 x rms(reference): float32 rounds at 6e-8, which was seen to grow to 2e-6 in these networks; "
    "TF32 and half precision round at 5e-4"
)
FACTOR, SLACK = 2.0, 1e-7


def rmse(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the root mean square of values - reference, in float64; infinite where the shapes differ."""
    if values.shape != reference.shape:
        return math.inf
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64) - reference))))


def rms(values: np.ndarray) -> float:
    """Return the root mean square of values, in float64."""
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64)))))


def bound(size: float, own: float = math.inf) -> float:
    """Return how far the same weights may be from their source by another's rounding, as rmse.

    size: rms of the source's heatmaps; own: the source's own distance to the exact ones, where it is known.
    """
    # A source that is wrong itself is not what others are measured by, nor one that gives no number:
    # min keeps its first argument when the second is NaN.
    return FACTOR * min(CEILING * size, own) + SLACK * size
