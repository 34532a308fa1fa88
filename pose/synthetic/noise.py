"""Smooth noise that wraps, always the same."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def noise_tile() -> np.ndarray:
    """Return (256, 256) float32 in [-1, 1] that wraps: smooth fractal noise, always the same."""
    return fractal_noise(1.7, 11)


def noise_at(row: np.ndarray | int, column: np.ndarray | int) -> np.ndarray:
    """Return `noise_tile` at whole, wrapping coordinates (n, ...); one flat index is faster than two."""
    return np.asarray(noise_tile().ravel().take(((row & 255) << 8) | (column & 255)))


def fractal_noise(slope: float, seed: int) -> np.ndarray:
    """Return (256, 256) float32 noise that wraps, of unit peak; amplitude falls as frequency^-slope."""
    white = np.fft.rfft2(np.random.Generator(np.random.Philox(key=seed)).standard_normal((256, 256)))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = np.inf
    tile = np.fft.irfft2(white / frequency**slope, (256, 256))
    return np.asarray(np.clip(tile / (3 * tile.std()), -1, 1), np.float32)
