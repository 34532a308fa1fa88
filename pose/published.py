"""Simple Baselines as published, slowly: one joint, one row, one pixel at a time.

Written from the paper (Xiao, Wu and Wei, ECCV 2018) and what its official code does, step by
step, in float64 unless that code rounds; it shares nothing with the rest of `pose`, only OpenCV's
warp. Names are the official code's, and so is each function's file. Nothing but the parity ladder
and the tests may call it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

Points = np.ndarray | Sequence[Sequence[float]]
"""x and y of each joint (K, 2)."""
Numbers = np.ndarray | Sequence[float]
Size = Sequence[int]
"""Width and height."""

PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
SIGMAS = [.26, .25, .25, .35, .35, .79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89]  # fmt: skip


def clean_box(box: Sequence[float], width: int, height: int) -> list[float] | None:
    """Return the box (x, y, w, h) in the image, None for one that is left out.

    coco.py, _load_coco_person_keypoint_annotation_kernal.
    """
    x, y, w, h = box
    x1, y1 = max(0, x), max(0, y)
    x2 = min(width - 1, x1 + max(0, w - 1))
    y2 = min(height - 1, y1 + max(0, h - 1))
    return [x1, y1, x2 - x1, y2 - y1] if x2 >= x1 and y2 >= y1 else None


def box_to_center_scale(box: Numbers, image_width: int, image_height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centre (2,) in image pixels and scale (2,) in units of 200 pixels, float32.

    image_width and image_height are the network's input; coco.py, _xywh2cs.
    """
    x, y, w, h = box
    aspect_ratio = image_width * 1.0 / image_height
    center = np.array([x + w * 0.5, y + h * 0.5], dtype=np.float32)
    if w > aspect_ratio * h:
        h = w * 1.0 / aspect_ratio
    elif w < aspect_ratio * h:
        w = h * aspect_ratio
    scale = np.array([w * 1.0 / 200, h * 1.0 / 200], dtype=np.float32)
    return center, scale * np.float32(1.25)


def get_dir(point: Sequence[float], radians: float) -> list[float]:
    """Return the point turned by an angle; transforms.py."""
    sn, cs = np.sin(radians), np.cos(radians)
    return [point[0] * cs - point[1] * sn, point[0] * sn + point[1] * cs]


def get_3rd_point(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the point (2,) that completes a right angle at b; transforms.py."""
    direct = a - b
    return np.asarray(b + np.array([-direct[1], direct[0]], dtype=np.float32))


def get_affine_transform(
    center: np.ndarray, scale: np.ndarray, degrees: float, output_size: Size, inverse: bool = False
) -> np.ndarray:
    """Return the (2, 3) affine of three points of the image and three of the output; transforms.py."""
    src_w = (scale * np.float32(200.0))[0]
    dst_w, dst_h = output_size
    src_dir = get_dir([0, src_w * -0.5], np.pi * degrees / 180)
    dst_dir = np.array([0, dst_w * -0.5], np.float32)
    src, dst = np.zeros((2, 3, 2), dtype=np.float32)
    src[0, :] = center
    src[1, :] = center + src_dir
    dst[0, :] = [dst_w * 0.5, dst_h * 0.5]
    dst[1, :] = np.array([dst_w * 0.5, dst_h * 0.5]) + dst_dir
    src[2, :] = get_3rd_point(src[0, :], src[1, :])
    dst[2, :] = get_3rd_point(dst[0, :], dst[1, :])
    return np.asarray(cv2.getAffineTransform(dst, src) if inverse else cv2.getAffineTransform(src, dst))


def affine_transform(point: Numbers, t: np.ndarray) -> list[float]:
    """Return the point mapped by a (2, 3) affine; transforms.py."""
    x, y = float(point[0]), float(point[1])
    return [
        float(t[0][0]) * x + float(t[0][1]) * y + float(t[0][2]),
        float(t[1][0]) * x + float(t[1][1]) * y + float(t[1][2]),
    ]


def fliplr_joints(
    joints: Points, visible: Sequence[bool], width: int
) -> tuple[list[list[float]], list[bool]]:
    """Return joints mirrored in an image of `width`, then the pairs swapped; transforms.py."""
    mirrored = [[width - x - 1, y] for x, y in joints]
    shown = list(visible)
    for a, b in PAIRS:
        mirrored[a], mirrored[b] = mirrored[b], mirrored[a]
        shown[a], shown[b] = shown[b], shown[a]
    return mirrored, shown


def generate_target(
    joints: Points, visible: Sequence[bool], image_size: Size, heatmap_size: Size, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return heatmaps (K, h, w) and weights (K,) float32 of joints in input pixels; JointsDataset.py."""
    k = len(joints)
    target = np.zeros((k, heatmap_size[1], heatmap_size[0]), dtype=np.float32)
    target_weight = np.array([1.0 if v else 0.0 for v in visible], dtype=np.float32)
    tmp_size = sigma * 3
    for joint in range(k):
        mu_x = int(joints[joint][0] / (image_size[0] / heatmap_size[0]) + 0.5)
        mu_y = int(joints[joint][1] / (image_size[1] / heatmap_size[1]) + 0.5)
        ul = [int(mu_x - tmp_size), int(mu_y - tmp_size)]
        br = [int(mu_x + tmp_size + 1), int(mu_y + tmp_size + 1)]
        if ul[0] >= heatmap_size[0] or ul[1] >= heatmap_size[1] or br[0] < 0 or br[1] < 0:
            target_weight[joint] = 0
            continue
        if target_weight[joint] <= 0.5:
            continue
        for row in range(max(0, ul[1]), min(br[1], heatmap_size[1])):
            for column in range(max(0, ul[0]), min(br[0], heatmap_size[0])):
                squared = (column - mu_x) ** 2 + (row - mu_y) ** 2
                target[joint][row][column] = np.exp(np.float32(-squared / (2 * sigma**2)))
    return target, target_weight


def training_sample(
    image: np.ndarray,
    box: Numbers,
    joints: Points,
    visible: Sequence[bool],
    input_size: Size,
    heatmap_size: Size,
    sigma: float,
    scale_factor: float,
    degrees: float,
    flip: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return input (H, W, 3), heatmaps (K, h, w), weights (K,) and the affine (2, 3) from image to input.

    JointsDataset.py, __getitem__, with the random numbers given; the box is clean already.
    """
    width = image.shape[1]
    center, scale = box_to_center_scale(box, *input_size)
    scale = scale * np.float32(scale_factor)
    shown = list(visible)
    if flip:
        image = image[:, ::-1, :].copy()
        joints, shown = fliplr_joints(joints, shown, width)
        center[0] = width - center[0] - 1
    trans = get_affine_transform(center, scale, degrees, input_size)
    picture = np.asarray(cv2.warpAffine(image, trans, input_size, flags=cv2.INTER_LINEAR))
    mapped = [
        affine_transform(joint, trans) if v else [0.0, 0.0] for joint, v in zip(joints, shown, strict=True)
    ]
    target, target_weight = generate_target(mapped, shown, input_size, heatmap_size, sigma)
    if flip:
        # a (width - 1 - x) + b y + c, for the image as it was before the flip
        trans = np.array([[-a, b, a * (width - 1) + c] for a, b, c in trans.tolist()])
    return picture, target, target_weight, trans


def joints_mse_loss(output: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """Return half of each joint's mean square, summed, over the joints; loss.py, JointsMSELoss.

    output and target: (N, K, h, w); weight: (N, K).
    """
    n, k, h, w = output.shape
    loss = 0.0
    for joint in range(k):
        squares = 0.0
        for i in range(n):
            factor = float(weight[i, joint])
            for value, wanted in zip(output[i, joint].flat, target[i, joint].flat, strict=True):
                squares += (float(value) * factor - float(wanted) * factor) ** 2
        loss += 0.5 * squares / (n * h * w)
    return float(loss / k)


def flip_back(maps: np.ndarray, shift: bool) -> np.ndarray:
    """Return heatmaps (N, K, h, w) of a mirrored image as those of the image.

    transforms.py, flip_back, then function.py's SHIFT_HEATMAP.
    """
    n, k, _, w = maps.shape
    partner = list(range(k))
    for a, b in PAIRS:
        partner[a], partner[b] = b, a
    flipped = np.zeros_like(maps)
    for i in range(n):
        for joint in range(k):
            for x in range(w):
                flipped[i, joint, :, x] = maps[i, partner[joint], :, w - 1 - x]
    if not shift:
        return flipped
    shifted = flipped.copy()
    shifted[:, :, :, 1:] = flipped[:, :, :, :-1]
    return shifted


def flip_test(straight: np.ndarray, mirrored: np.ndarray, shift: bool) -> np.ndarray:
    """Return the mean of the heatmaps (N, K, h, w) of the image and of its mirror; function.py, validate."""
    return np.asarray((straight + flip_back(mirrored, shift)) * np.float32(0.5))


def get_quarter_preds(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (N, K, 2) in heatmap pixels and peaks (N, K) of heatmaps (N, K, h, w).

    inference.py, get_max_preds and the POST_PROCESS part of get_final_preds.
    """
    n, k, height, width = maps.shape
    preds, peaks = np.zeros((n, k, 2)), np.zeros((n, k))
    for i in range(n):
        for joint in range(k):
            hm = maps[i][joint]
            best = 0
            for position in range(height * width):
                if hm[position // width][position % width] > hm[best // width][best % width]:
                    best = position
            peaks[i, joint] = hm[best // width][best % width]
            x, y = (float(best % width), float(best // width)) if peaks[i, joint] > 0 else (0.0, 0.0)
            px, py = math.floor(x + 0.5), math.floor(y + 0.5)
            if 1 < px < width - 1 and 1 < py < height - 1:
                x += 0.25 * np.sign(hm[py][px + 1] - hm[py][px - 1])
                y += 0.25 * np.sign(hm[py + 1][px] - hm[py - 1][px])
            preds[i, joint] = [x, y]
    return preds, peaks


def get_final_preds(maps: np.ndarray, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (N, K, 2) in image pixels and peaks (N, K); inference.py.

    maps: (N, K, h, w); center and scale: (N, 2).
    """
    n, k, height, width = maps.shape
    preds, peaks = get_quarter_preds(maps)
    for i in range(n):
        trans = get_affine_transform(center[i], scale[i], 0, [width, height], inverse=True)
        for joint in range(k):
            preds[i, joint] = affine_transform(preds[i, joint], trans)
    return preds, peaks


def rescored(joint_scores: Numbers, box_score: float, in_vis_thre: float) -> float:
    """Return one person's score; coco.py, evaluate."""
    valid = [float(score) for score in joint_scores if score > in_vis_thre]
    return (sum(valid) / len(valid) if valid else 0.0) * box_score


def oks_iou(g: Points, d: Points, a_g: float, a_d: float) -> float:
    """Return the similarity of two people of 17 joints and their areas, no joint left out; nms.py."""
    total = 0.0
    for joint in range(17):
        variance = (SIGMAS[joint] / 10 * 2) ** 2
        squared = (d[joint][0] - g[joint][0]) ** 2 + (d[joint][1] - g[joint][1]) ** 2
        total += math.exp(-squared / variance / ((a_g + a_d) / 2 + np.spacing(1)) / 2)
    return total / 17


def oks_nms(
    people: Sequence[Points] | np.ndarray, scores: Numbers, areas: Numbers, thresh: float
) -> list[int]:
    """Return the indices of the people kept, best first; nms.py."""
    left = [int(i) for i in np.argsort(scores, kind="stable")[::-1]]
    keep = []
    while left:
        best = left.pop(0)
        keep.append(best)
        left = [i for i in left if oks_iou(people[best], people[i], areas[best], areas[i]) <= thresh]
    return keep


def evaluate(
    people: np.ndarray,
    joint_scores: np.ndarray,
    image_ids: Sequence[int],
    box_scores: Sequence[float],
    scales: np.ndarray,
    in_vis_thre: float,
    oks_thre: float,
) -> list[tuple[int, int, float]]:
    """Return (image id, row, score) of the people kept, image by image as they come; coco.py, evaluate.

    people: (N, K, 2) in image pixels; joint_scores: (N, K); scales: (N, 2), whose box is the area.
    """
    kpts: dict[int, list[int]] = {}
    for row, image in enumerate(image_ids):
        kpts.setdefault(image, []).append(row)
    kept = []
    for image, rows in kpts.items():
        scores = [rescored(joint_scores[row], box_scores[row], in_vis_thre) for row in rows]
        areas = [float(scales[row][0]) * 200 * (float(scales[row][1]) * 200) for row in rows]
        keep = oks_nms([people[row] for row in rows], scores, areas, oks_thre)
        kept += [(image, rows[i], scores[i]) for i in keep]
    return kept
