"""COCO's person skeleton: joints, flip pairs, OKS sigmas and limbs.

Source: the COCO keypoint task, `categories[0]` of person_keypoints_val2017.json, and
pycocotools.cocoeval.Params for the sigmas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Skeleton:
    """Joint names in order, left-right pairs, OKS sigmas and limbs, all by joint index."""

    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    oks_sigmas: tuple[float, ...]
    limbs: tuple[tuple[int, int], ...]

    @property
    def flip_order(self) -> np.ndarray:
        """Return (K,) int: `x[flip_order]` swaps left and right joints."""
        order = np.arange(len(self.joints))
        for left, right in self.flip_pairs:
            order[[left, right]] = right, left
        return order


COCO = Skeleton(
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    oks_sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
        0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7),
        (6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
)  # fmt: skip

NUM_JOINTS = len(COCO.joints)
