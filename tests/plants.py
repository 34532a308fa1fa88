"""Known mistakes, to be planted in a ladder's child before it works (Context.plants).

Each function makes one mistake in the process that calls it.
"""

from __future__ import annotations

import numpy as np

from pose import augment, coco, evaluate, geometry, heatmap, images, skeleton, training


def swapped_flip_pair() -> None:
    """The left eye changes places with the right ear, and the left ear with the right eye."""
    (_, left_eye_partner), (_, left_ear_partner), *rest = skeleton.COCO.flip_pairs
    pairs = ((1, left_ear_partner), (3, left_eye_partner), *rest)
    object.__setattr__(skeleton.COCO, "flip_pairs", pairs)


def half_pixel_shift() -> None:
    """The affine counts from pixel corners where the reference counts from centres."""
    right = geometry.affine

    def shifted(*args, **options) -> np.ndarray:
        return right(*args, **options) + np.array([0, 0, 0.5])

    geometry.affine = shifted


def blue_green_red() -> None:
    """The decoder's channels are taken as they come."""
    right = images.read_image

    def reversed_channels(path) -> np.ndarray:
        return right(path)[..., ::-1]

    images.read_image = coco.read_image = reversed_channels


def every_joint_counts() -> None:
    """Targets of hidden joints are trained on."""
    right = heatmap.encode
    heatmap.encode = lambda *args: (right(*args)[0], np.ones(len(args[0]), np.float32))


def loss_without_weights() -> None:
    """The validation loss counts hidden joints."""
    training.loss = lambda predicted, target, weights: float(
        0.5 * np.mean((predicted.astype(np.float64) - target) ** 2)
    )


def another_order() -> None:
    """Epochs are ordered by another seed."""
    right = augment.order
    augment.order = lambda seed, epoch, count: right(seed + 1, epoch, count)


def quarter_offset_everywhere() -> None:
    """Peaks in columns and rows 1 move toward their neighbour too."""
    right = heatmap.decode

    def decoded(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        keypoints, peaks = right(padded)
        return (keypoints - np.float32(1)) * (peaks > 0)[..., None], peaks

    heatmap.decode = decoded


def mirror_not_shifted() -> None:
    """SHIFT_HEATMAP is forgotten."""
    right = heatmap.flip_back
    heatmap.flip_back = lambda maps, order, *, shift: right(maps, order, shift=False)


def threshold_included() -> None:
    """Joint scores that equal the threshold count."""
    right = evaluate.rescore
    evaluate.rescore = lambda joints, boxes, threshold: right(
        joints, boxes, float(np.nextafter(np.float32(threshold), np.float32(-1)))
    )


def sigmas_of_a_tenth() -> None:
    """OKS takes the published sigmas, which are ten times COCO's, as they are printed."""
    sigmas = tuple(10 * sigma for sigma in skeleton.COCO.oks_sigmas)
    object.__setattr__(skeleton.COCO, "oks_sigmas", sigmas)


def earlier_of_equals_first() -> None:
    """Of people with equal scores the earlier one is kept."""

    def suppressed(keypoints, scores, areas, threshold) -> list[int]:
        order = np.argsort(-scores, kind="stable")
        kept: list[int] = []
        while order.size:
            best, rest = order[0], order[1:]
            kept.append(int(best))
            order = rest[
                evaluate.oks(keypoints[best], keypoints[rest], areas[best], areas[rest]) <= threshold
            ]
        return kept

    evaluate.oks_nms = suppressed


def area_without_pixels() -> None:
    """The area of a person is taken in units of 200 x 200 pixels."""
    geometry.PIXEL_STD = 1.0
