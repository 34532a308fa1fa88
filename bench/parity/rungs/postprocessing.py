"""Rung 8: from heatmaps to results, against the literal transcription, on seeded cases that are hard."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from bench.contract import Emit
from bench.parity.certificate import Check
from bench.parity.rungs import cases
from bench.parity.rungs.base import Context, largest, told_largest, within
from bench.parity.rungs.cases import Crowd, Maps
from bench.parity.rungs.samples import apart
from pose import evaluate, heatmap, inference, published
from pose.recipe import Evaluation
from pose.skeleton import COCO

WHOLE = "whole and quarter pixels, and a value of the map: nothing is rounded"
COPIED = "maps are moved, never computed; the mean of two float32 is rounded once, halving is exact"
INVERSE_AFFINE = "float64 sums in another order: 1e-12 px; a quarter heatmap pixel is 0.25 px and more"
SUMS = "float64 sums of 17 numbers in another order: 1e-15; a joint more or less is 1e-2"
DECISIONS = "who is kept and in which order is a decision: ties too have one outcome"

CHECKS = {
    "decoding": ("decoding: keypoints in heatmap pixels and peaks", 0.0, WHOLE),
    "in_image": ("keypoints in the image, px", 1e-9, INVERSE_AFFINE),
    "flip_test": ("flip test: mirrored maps turned back, shifted, averaged", 0.0, COPIED),
    "rescoring": ("rescoring, relative", 1e-12, SUMS),
    "oks": ("OKS between people", 1e-12, SUMS),
    "oks_nms": ("OKS-NMS: people kept otherwise", 0.0, DECISIONS),
    "results": ("results: people kept otherwise", 0.0, DECISIONS),
    "scores": ("results: scores, relative", 1e-12, SUMS),
}
"""What is compared -> name, bound and its reason."""


def climb(context: Context) -> list[Check]:
    """Return the checks of decoding, flip test, rescoring, OKS, OKS-NMS and all of them in a row."""
    payload = {"heatmap_size": context.recipe.model.heatmap_size}
    found = context.call("shared", "bench.parity.rungs.postprocessing:compare_postprocessing", payload)
    return [
        within(name, told_largest(found[kind]), bound, reason, note=f"{found[kind]['cases']} cases")
        for kind, (name, bound, reason) in CHECKS.items()
    ]


def compare_postprocessing(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return for each of CHECKS the largest error, its case and the number of cases (in the child)."""
    width, height = payload["heatmap_size"]
    errors: dict[str, dict[str, float]] = defaultdict(dict)
    for maps in cases.maps((width, height)):
        errors["decoding"][maps.name] = decoding(maps)
        errors["in_image"][maps.name] = in_image(maps)
        for shift in (True, False):
            name = f"{maps.name}, {'shifted' if shift else 'not shifted'}"
            errors["flip_test"][name] = flip_test(maps, shift)
    for crowd in cases.crowds():
        errors["rescoring"][crowd.name] = rescoring(crowd)
        errors["oks"][crowd.name] = oks(crowd)
        errors["oks_nms"][crowd.name] = oks_nms(crowd)
        errors["results"][crowd.name], errors["scores"][crowd.name] = results(crowd)
    return {kind: largest(by_case) | {"cases": len(by_case)} for kind, by_case in errors.items()}


def decoding(maps: Maps) -> float:
    """Return the largest difference of keypoints, in heatmap pixels, and of peaks."""
    keypoints, peaks = heatmap.decode(maps.straight)
    expected, expected_peaks = published.get_quarter_preds(maps.straight)
    return max(apart(keypoints.astype(float), expected), apart(peaks.astype(float), expected_peaks))


def in_image(maps: Maps) -> float:
    """Return the largest difference of keypoints, in image pixels."""
    keypoints, _ = evaluate.keypoints_in_image(maps.straight, maps.centers, maps.scales)
    return apart(keypoints, published.get_final_preds(maps.straight, maps.centers, maps.scales)[0])


def flip_test(maps: Maps, shift: bool) -> float:
    """Return the largest difference of mirrored maps turned back, and of their mean with the others."""
    back = heatmap.flip_back(maps.mirrored, COCO.flip_order, shift=shift)
    image = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    answers = {image.tobytes(): maps.straight, image[:, :, ::-1].tobytes(): maps.mirrored}
    _, averaged = inference.straight_and_averaged(
        lambda images: answers[images.tobytes()], image, Evaluation(shift_flipped=shift)
    )
    return max(
        apart(back, published.flip_back(maps.mirrored, shift)),
        apart(averaged, published.flip_test(maps.straight, maps.mirrored, shift)),
    )


def rescoring(crowd: Crowd) -> float:
    """Return the largest relative difference of the people's scores."""
    threshold = crowd.options.joint_threshold
    found = evaluate.rescore(crowd.joint_scores, crowd.box_scores, threshold)
    rows = zip(crowd.joint_scores, crowd.box_scores.tolist(), strict=True)
    return _relative(found, np.array([published.rescored(j, b, threshold) for j, b in rows]))


def oks(crowd: Crowd) -> float:
    """Return the largest difference of similarities to the first person."""
    people, areas = crowd.keypoints, _areas(crowd)
    if not len(people):
        return 0.0
    expected = [published.oks_iou(people[0], p, areas[0], a) for p, a in zip(people, areas, strict=True)]
    return apart(evaluate.oks(people[0], people, areas[0], areas), np.array(expected))


def oks_nms(crowd: Crowd) -> float:
    """Return at how many ranks another person, or none, is kept, all people taken for those of one image."""
    areas, threshold = _areas(crowd), crowd.options.oks_nms_threshold
    found = evaluate.oks_nms(crowd.keypoints, crowd.box_scores, areas, threshold)
    return _otherwise(found, published.oks_nms(crowd.keypoints, crowd.box_scores, areas, threshold))


def results(crowd: Crowd) -> tuple[float, float]:
    """Return at how many ranks another person is kept, and the largest relative difference of scores."""
    options = crowd.options
    rows = evaluate.results(
        crowd.keypoints, crowd.joint_scores, crowd.image_ids, crowd.box_scores, crowd.scales, options
    )
    kept = published.evaluate(
        crowd.keypoints, crowd.joint_scores, crowd.image_ids.tolist(), crowd.box_scores.tolist(),
        crowd.scales, options.joint_threshold, options.oks_nms_threshold,
    )  # fmt: skip
    kept.sort(key=lambda row: row[0])  # stable: the order within an image stays
    expected = [(image, crowd.keypoints[row].tolist()) for image, row, _ in kept]
    found = [(row["image_id"], np.reshape(row["keypoints"], (-1, 3))[:, :2].tolist()) for row in rows]
    wrong = _otherwise(found, expected)
    if wrong:
        return wrong, 0.0
    return 0.0, _relative(np.array([row["score"] for row in rows]), np.array([s for _, _, s in kept]))


def _areas(crowd: Crowd) -> np.ndarray:
    return np.asarray(np.prod(crowd.scales.astype(np.float64) * 200, axis=1))


def _otherwise(found: list[Any], expected: list[Any]) -> float:
    """Return at how many ranks two lists differ, ranks that one lacks included."""
    same = sum(a == b for a, b in zip(found, expected, strict=False))
    return float(max(len(found), len(expected)) - same)


def _relative(values: np.ndarray, expected: np.ndarray) -> float:
    return apart(values / np.where(expected == 0, 1, expected), np.where(expected == 0, 0.0, 1.0))
