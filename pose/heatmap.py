"""Keypoints to heatmaps and back (Xiao et al. 2018; JointsDataset.generate_target, inference.py)."""

from __future__ import annotations

import numpy as np


def encode(
    keypoints_input: np.ndarray,
    labelled: np.ndarray,
    input_size: tuple[int, int],
    heatmap_size: tuple[int, int],
    sigma_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return heatmaps (K, h, w) float32 and weights (K,) float32.

    keypoints_input: (K, 2) in input pixels; labelled: (K,) bool; sizes are (width, height).
    Each labelled joint is an unnormalised Gaussian of peak 1 in a window of +-3 sigma around
    int(x / stride + 0.5). A joint whose window lies outside keeps an empty map and weight 0;
    as published, a window that ends exactly at the border still counts (`br < 0`).
    """
    width, height = heatmap_size
    heatmaps = np.zeros((len(keypoints_input), height, width), np.float32)
    weights = labelled.astype(np.float32)
    radius = round(sigma_px * 3)
    patch = _gaussian(sigma_px)
    stride = np.asarray(input_size, np.float64) / heatmap_size
    for joint in np.flatnonzero(labelled):
        mu_x, mu_y = (int(v) for v in keypoints_input[joint] / stride + 0.5)
        left, top = mu_x - radius, mu_y - radius
        right, bottom = mu_x + radius + 1, mu_y + radius + 1
        if left >= width or top >= height or right < 0 or bottom < 0:
            weights[joint] = 0
            continue
        x0, x1 = max(0, left), min(right, width)
        y0, y1 = max(0, top), min(bottom, height)
        if x0 < x1 and y0 < y1:
            heatmaps[joint, y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    return heatmaps, weights


def _gaussian(sigma_px: float) -> np.ndarray:
    """Return the (s, s) float32 window of +-3 sigma, peak 1 in its middle."""
    radius = round(sigma_px * 3)
    x = np.arange(-radius, radius + 1, dtype=np.float32)
    squared = x**2 + x[:, None] ** 2
    return np.asarray(np.exp(-squared / (2 * sigma_px**2)), np.float32)


def decode(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (N, K, 2) float32 in heatmap pixels and their peak values (N, K) float32.

    heatmaps: (N, K, h, w) float32. A joint whose peak is <= 0 sits at (0, 0).
    A peak with 1 < x < w-1 and 1 < y < h-1 moves a quarter pixel toward its
    higher neighbour on each axis (Newell et al. 2016, section 4.1).
    """
    n, k, h, w = heatmaps.shape
    flat = heatmaps.reshape(n, k, h * w)
    peak = flat.argmax(axis=2)
    value = np.take_along_axis(flat, peak[..., None], axis=2)[..., 0]
    y, x = np.divmod(peak, w)
    positive = value > 0
    x, y = x * positive, y * positive
    keypoints = np.stack([x, y], axis=-1).astype(np.float32)
    inner = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
    i, j = np.nonzero(inner)
    column, row = x[i, j], y[i, j]
    dx = heatmaps[i, j, row, column + 1] - heatmaps[i, j, row, column - 1]
    dy = heatmaps[i, j, row + 1, column] - heatmaps[i, j, row - 1, column]
    keypoints[i, j] += 0.25 * np.sign(np.stack([dx, dy], axis=-1))
    return keypoints, value


def flip_back(heatmaps: np.ndarray, flip_order: np.ndarray, *, shift: bool) -> np.ndarray:
    """Return the heatmaps (N, K, h, w) of a mirrored image in the frame of the unmirrored one.

    With `shift` they move one pixel right, column 0 kept: a mirrored map is off by one
    because strides are even (Xiao et al. 2018, code, TEST.SHIFT_HEATMAP).
    """
    back = heatmaps[:, flip_order, :, ::-1].copy()
    if shift:
        back[..., 1:] = back[..., :-1].copy()
    return back
