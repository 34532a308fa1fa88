"""COCO annotations of rendered people, read off the depth and id buffers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from pose.skeleton import COCO
from pose.synthetic import figure
from pose.synthetic.body import Body
from pose.synthetic.camera import Camera
from pose.synthetic.raster import SUPERSAMPLE, Buffers, Projected


def _adjoining() -> list[tuple[set[int], float]]:
    """By joint: the parts that are its own flesh, and how far before it they may lie (share of stature)."""
    trunk, head = figure.TRUNK, figure.HEAD
    table: dict[str, tuple[set[int], float]] = {"nose": ({head}, 0.014)}
    for i, side in enumerate(("left", "right")):
        upper, lower, hand = figure.UPPER_ARM[i], figure.FOREARM[i], figure.HAND[i]
        thigh, shin, foot = figure.THIGH[i], figure.SHIN[i], figure.FOOT[i]
        table |= {
            f"{side}_eye": ({head}, 0.014),
            f"{side}_ear": ({head}, 0.02),
            f"{side}_shoulder": ({upper, trunk}, 0.055),
            f"{side}_elbow": ({upper, lower}, 0.04),
            f"{side}_wrist": ({lower, hand}, 0.035),
            f"{side}_hip": ({trunk, thigh}, 0.085),
            f"{side}_knee": ({thigh, shin, trunk}, 0.06),
            f"{side}_ankle": ({shin, foot}, 0.045),
        }
    return [table[joint] for joint in COCO.joints]


_ADJOINING = _adjoining()

_TWO_BY_TWO = np.ones((2, 2), np.uint8)


def label_joints(view: Projected, buffers: Buffers, camera: Camera, owner: int, body: Body) -> np.ndarray:
    """Return (17, 3): x, y in image pixels (centres are whole numbers) and COCO visibility.

    0, with x = y = 0: outside the image. 1: something else, or another part of the same body,
    lies in front. 2: seen.
    """
    corners, depth = camera.project(body.keypoints)
    pixels = np.round(corners - 0.5, 2)
    width, height = camera.size
    out = np.zeros((len(pixels), 3))
    for j, (x, y) in enumerate(pixels):
        if depth[j] > 0 and 0 <= x <= width - 1 and 0 <= y <= height - 1:
            column, row = (int(c * SUPERSAMPLE) for c in corners[j])
            seen = _is_seen(
                view, buffers.ids[row, column], buffers.inverse_depth[row, column], owner, body, j, depth[j]
            )
            out[j] = x, y, 2 if seen else 1
    return out


def _is_seen(
    view: Projected, surface: int, inverse_depth: float, owner: int, body: Body, joint: int, depth_m: float
) -> bool:
    parts, reach = _ADJOINING[joint]
    gap_m = depth_m - 1 / inverse_depth if surface >= 0 else -np.inf
    if gap_m <= 0:
        return True
    own = view.solids.owners[surface] == owner and view.solids.parts[surface] in parts
    return bool(own and gap_m <= reach * body.build.stature_m)


def annotate(mask: np.ndarray, joints: np.ndarray, annotation_id: int, image_id: int) -> dict[str, Any]:
    """Return the COCO annotation of one person: visible mask (2h, 2w) uint8, 0 elsewhere; joints (17, 3)."""
    x, y, w, h = cv2.boundingRect(mask)
    return {
        "segmentation": polygons(mask[y : y + h, x : x + w], (x, y)),
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "area": float(cv2.countNonZero(mask)) / SUPERSAMPLE**2,
        "iscrowd": 0,
        "keypoints": [int(v) if v == int(v) else v for v in joints.ravel().tolist()],
        "image_id": image_id,
        "bbox": [side / SUPERSAMPLE for side in (x, y, w, h)],
        "category_id": 1,
        "id": annotation_id,
    }


def polygons(mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> list[list[float]]:
    """Return the outlines of `mask` (h, w) bool or uint8 as COCO polygons, in image corner coordinates.

    corner: x, y of the mask in supersampled pixels. COCO polygons have no holes, so a hole is
    joined to its outline by a bridge of no width.
    """
    # One pixel more to the right and below makes the traced pixel centres the corners of the mask.
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 0, 1, 0, 1, cv2.BORDER_CONSTANT, value=[0])
    grown = cv2.dilate(padded, _TWO_BY_TWO, anchor=(1, 1))
    contours, tree = cv2.findContours(grown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = tree[0, :, 3].tolist() if contours else []
    large = [cv2.contourArea(contour) >= 6 for contour in contours]
    out = []
    for i, contour in enumerate(contours):
        if parents[i] >= 0 or not large[i]:
            continue
        ring = contour[:, 0]
        for k, parent in enumerate(parents):
            if parent == i and large[k]:
                ring = _bridge(ring, contours[k][:, 0])
        out.append(((ring + corner) / SUPERSAMPLE).ravel().tolist())
    return out


def _bridge(outer: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """(N, 2): `outer`, walked to its vertex nearest the hole's first, around the hole and on."""
    i = int(((outer - hole[0]) ** 2).sum(axis=1).argmin())
    return np.concatenate([outer[: i + 1], hole, hole[:1], outer[i:]])
