"""Simple Baselines as published, slowly: one joint, one row, one pixel at a time.

Written from the paper (Xiao, Wu and Wei, ECCV 2018) and what its official code does, step by
step, in float64 unless that code rounds; it shares nothing with `pose` but OpenCV's warp.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
SIGMAS = [.26, .25, .25, .35, .35, .79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89]  # fmt: skip


def clean_box(box, width, height):
    """coco.py, _load_coco_person_keypoint_annotation: None for a box that is left out."""
    x, y, w, h = box
    x1 = np.max((0, x))
    y1 = np.max((0, y))
    x2 = np.min((width - 1, x1 + np.max((0, w - 1))))
    y2 = np.min((height - 1, y1 + np.max((0, h - 1))))
    if x2 >= x1 and y2 >= y1:
        return [x1, y1, x2 - x1, y2 - y1]
    return None


def box_to_center_scale(box, image_width, image_height):
    """coco.py, _xywh2cs."""
    x, y, w, h = box
    aspect_ratio = image_width * 1.0 / image_height
    center = np.zeros(2, dtype=np.float32)
    center[0] = x + w * 0.5
    center[1] = y + h * 0.5
    if w > aspect_ratio * h:
        h = w * 1.0 / aspect_ratio
    elif w < aspect_ratio * h:
        w = h * aspect_ratio
    scale = np.array([w * 1.0 / 200, h * 1.0 / 200], dtype=np.float32)
    return center, scale * np.float32(1.25)


def get_dir(point, radians):
    sn, cs = np.sin(radians), np.cos(radians)
    return [point[0] * cs - point[1] * sn, point[0] * sn + point[1] * cs]


def third_point(a, b):
    direct = a - b
    return b + np.array([-direct[1], direct[0]], dtype=np.float32)


def get_affine_transform(center, scale, degrees, output_size, inverse=False):
    """transforms.py, get_affine_transform: three points of the image, three of the output."""
    src_w = (scale * np.float32(200.0))[0]
    dst_w, dst_h = output_size
    src_dir = get_dir([0, src_w * -0.5], np.pi * degrees / 180)
    dst_dir = np.array([0, dst_w * -0.5], np.float32)
    src = np.zeros((3, 2), dtype=np.float32)
    dst = np.zeros((3, 2), dtype=np.float32)
    src[0, :] = center
    src[1, :] = center + src_dir
    dst[0, :] = [dst_w * 0.5, dst_h * 0.5]
    dst[1, :] = np.array([dst_w * 0.5, dst_h * 0.5]) + dst_dir
    src[2, :] = third_point(src[0, :], src[1, :])
    dst[2, :] = third_point(dst[0, :], dst[1, :])
    if inverse:
        return cv2.getAffineTransform(dst, src)
    return cv2.getAffineTransform(src, dst)


def affine_transform(point, t):
    x, y = float(point[0]), float(point[1])
    return [t[0][0] * x + t[0][1] * y + t[0][2], t[1][0] * x + t[1][1] * y + t[1][2]]


def fliplr_joints(joints, visible, width):
    """transforms.py, fliplr_joints: mirror, then swap the pairs."""
    joints = [[width - x - 1, y] for x, y in joints]
    visible = list(visible)
    for a, b in PAIRS:
        joints[a], joints[b] = joints[b], joints[a]
        visible[a], visible[b] = visible[b], visible[a]
    return joints, visible


def generate_target(joints, visible, image_size, heatmap_size, sigma):
    """JointsDataset.generate_target; joints in input pixels."""
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
    image, box, joints, visible, input_size, heatmap_size, sigma, scale_factor, degrees, flip
):
    """JointsDataset.__getitem__ with the random numbers given; the box is clean already."""
    width = image.shape[1]
    center, scale = box_to_center_scale(box, *input_size)
    scale = scale * np.float32(scale_factor)
    if flip:
        image = image[:, ::-1, :].copy()
        joints, visible = fliplr_joints(joints, visible, width)
        center[0] = width - center[0] - 1
    trans = get_affine_transform(center, scale, degrees, input_size)
    picture = cv2.warpAffine(image, trans, tuple(input_size), flags=cv2.INTER_LINEAR)
    mapped = [
        affine_transform(joint, trans) if v else [0.0, 0.0] for joint, v in zip(joints, visible, strict=True)
    ]
    return picture, *generate_target(mapped, visible, input_size, heatmap_size, sigma), mapped


def flip_back(maps, shift):
    """transforms.py, flip_back, then function.py's SHIFT_HEATMAP."""
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
    for x in range(1, w):
        shifted[:, :, :, x] = flipped[:, :, :, x - 1]
    return shifted


def get_final_preds(maps, center, scale):
    """inference.py, get_final_preds: keypoints (N, K, 2) in image pixels and peaks (N, K)."""
    n, k, height, width = maps.shape
    preds = np.zeros((n, k, 2))
    peaks = np.zeros((n, k))
    for i in range(n):
        trans = get_affine_transform(center[i], scale[i], 0, [width, height], inverse=True)
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
            preds[i, joint] = affine_transform([x, y], trans)
    return preds, peaks


def rescored(joint_scores, box_score, in_vis_thre):
    """coco.py, evaluate: one person's score."""
    total, valid = 0.0, 0
    for score in joint_scores:
        if score > in_vis_thre:
            total += float(score)
            valid += 1
    return (total / valid if valid else 0.0) * box_score


def oks_iou(g, d, a_g, a_d):
    """nms.py, oks_iou: persons as (17, 2) and areas, no joint left out."""
    total = 0.0
    for joint in range(17):
        variance = (SIGMAS[joint] / 10 * 2) ** 2
        squared = (d[joint][0] - g[joint][0]) ** 2 + (d[joint][1] - g[joint][1]) ** 2
        total += math.exp(-squared / variance / ((a_g + a_d) / 2 + np.spacing(1)) / 2)
    return total / 17


def oks_nms(people, scores, areas, thresh):
    """nms.py, oks_nms: indices kept, best first."""
    left = [int(i) for i in np.argsort(scores, kind="stable")[::-1]]
    keep = []
    while left:
        best = left.pop(0)
        keep.append(best)
        left = [i for i in left if oks_iou(people[best], people[i], areas[best], areas[i]) <= thresh]
    return keep


def joints_mse_loss(output, target, weight):
    """loss.py, JointsMSELoss with target weights: half of each joint's mean, summed, over the joints."""
    n, k, h, w = output.shape
    loss = 0.0
    for joint in range(k):
        squares = 0.0
        for i in range(n):
            for value, wanted in zip(output[i, joint].flat, target[i, joint].flat, strict=True):
                squares += (
                    float(value) * float(weight[i, joint]) - float(wanted) * float(weight[i, joint])
                ) ** 2
        loss += 0.5 * squares / (n * h * w)
    return loss / k
