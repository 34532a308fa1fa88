"""Soft shadows that the solids throw on the ground."""

from __future__ import annotations

import cv2
import numpy as np

from pose.synthetic.camera import Camera
from pose.synthetic.raster import NEAR_M
from pose.synthetic.solids import Solids

_SHRINK = 2


def cast(solids: Solids, camera: Camera, toward: np.ndarray, softness: float) -> np.ndarray:
    """Return (H, W) float32 in [0, 1]: how much of the lamp the solids hide from the ground.

    toward (3,): at the lamp. softness: blur in thousandths of the image's width.
    """
    width, height = camera.size
    mask = np.zeros((height // _SHRINK, width // _SHRINK), np.uint8)
    transforms = np.array(solids.transforms)
    tube = ~np.isnan(np.array(solids.tapers))
    starts = transforms[:, :3, 3]
    ends = starts + transforms[:, :3, 1] * tube[:, None]
    radii = np.linalg.norm(transforms[:, :3, 0], axis=1) * np.where(tube, 1.0, 0.5)
    radii += np.where(tube, 0.0, 0.5) * np.linalg.norm(transforms[:, :3, 2], axis=1)
    a, depth_a = camera.project(_fall(starts, toward))
    b, depth_b = camera.project(_fall(ends, toward))
    thick = np.clip(
        2 * radii * camera.focal_px / np.maximum(np.minimum(depth_a, depth_b), 0.3) / _SHRINK * 0.8, 1, 200
    )
    inside = (
        (np.minimum(depth_a, depth_b) > NEAR_M)
        & (np.abs(a) < 4 * width).all(1)
        & (np.abs(b) < 4 * width).all(1)
    )
    inside &= [len(p) == 0 for p in solids.polygons]
    for p, q, t in zip(
        np.rint(a[inside] / _SHRINK).astype(int).tolist(),
        np.rint(b[inside] / _SHRINK).astype(int).tolist(),
        thick[inside].astype(int).tolist(),
        strict=True,
    ):
        cv2.line(mask, p, q, 255, t)
    for corners in solids.polygons:
        if len(corners):
            _fill(mask, corners, camera, toward)
    sigma = max(0.6, softness * width / 1000 / _SHRINK * 2)
    soft = cv2.GaussianBlur(mask, (0, 0), sigma)
    return cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255


def _fall(points: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Follow the light from points (N, 3) down to the ground, y = 0."""
    return np.asarray(points - toward * (np.minimum(points[:, 1:2], 0) / toward[1]))


def _fill(mask: np.ndarray, corners: np.ndarray, camera: Camera, toward: np.ndarray) -> None:
    pixels, depth = camera.project(_fall(corners, toward))
    if depth.min() > NEAR_M and np.abs(pixels).max() < 4 * camera.size[0]:
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(pixels / _SHRINK).astype(np.int32)), 255)
