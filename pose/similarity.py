"""How near each annotated person is predicted: OKS by person, and the similarity of each of their joints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose.skeleton import COCO, NUM_JOINTS


@dataclass(frozen=True)
class PersonSimilarity:
    """One annotated person beside the prediction on the same image that is nearest to them."""

    image_id: int
    annotation_id: int
    oks: float
    """Of that prediction, 0 to 1; 0 without any."""
    joints: tuple[float | None, ...]
    """By joint, exp(-d^2 / (2 area (2 sigma)^2)), of which OKS is the mean; None where it is not labelled."""
    visibility: tuple[int, ...]
    """By joint: 0 not labelled, 1 hidden, 2 visible."""
    area: float
    """Of the annotation, in square pixels of the image."""


def of_people(predictions: Sequence[dict[str, Any]], ground_truth: dict[str, Any]) -> list[PersonSimilarity]:
    """Return the similarity of every person with a labelled joint, in the order of the annotations.

    predictions: COCO results rows; ground_truth: a COCO annotation dict. As pycocotools' computeOks has it;
    unlike in matching for AP, a prediction may be the nearest of two people. Crowds are left out.
    """
    by_image: dict[int, list[np.ndarray]] = defaultdict(list)
    for row in predictions:
        by_image[row["image_id"]].append(_points(row["keypoints"])[:, :2])
    people = [p for p in ground_truth["annotations"] if p.get("num_keypoints") and not p.get("iscrowd")]
    return [_person(one, by_image[one["image_id"]]) for one in people]


def _points(keypoints: Sequence[float]) -> np.ndarray:
    """Return keypoints (K, 3) of a flat list."""
    return np.asarray(keypoints, np.float64).reshape(NUM_JOINTS, 3)


def _person(truth: dict[str, Any], found: list[np.ndarray]) -> PersonSimilarity:
    points = _points(truth["keypoints"])
    labelled = points[:, 2] > 0
    variance = (2 * np.array(COCO.oks_sigmas)) ** 2
    squared = ((np.array(found).reshape(-1, NUM_JOINTS, 2) - points[:, :2]) ** 2).sum(axis=2)  # (M, K)
    near = np.exp(-squared / variance / (truth["area"] + np.spacing(1)) / 2)
    each = near[:, labelled].mean(axis=1)
    best = near[each.argmax()] if len(each) else np.zeros(NUM_JOINTS)
    return PersonSimilarity(
        image_id=truth["image_id"],
        annotation_id=truth["id"],
        oks=float(each.max(initial=0.0)),
        joints=tuple(float(value) if there else None for value, there in zip(best, labelled, strict=True)),
        visibility=tuple(int(value) for value in points[:, 2]),
        area=float(truth["area"]),
    )


def chosen(by_twin: Mapping[str, list[PersonSimilarity]], count: int) -> dict[int, list[tuple[str, int]]]:
    """Return up to `count` images to look at, each with why: (best, median, worst or apart, person's ID).

    By the mean OKS over the twins; apart is where the twins' OKS differ most, the largest gap first. Chosen
    by figures alone, so that nobody picks what flatters.
    """
    twins = list(by_twin.values())
    people = list(zip(*twins, strict=True))
    if not people:
        return {}
    ranked = sorted(people, key=lambda same: (-sum(one.oks for one in same), same[0].annotation_id))
    apart = sorted(people, key=lambda same: (-_gap(same), same[0].annotation_id))
    reasons = [("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])]
    reasons += [("apart", same) for same in apart if _gap(same) > 0]
    found: dict[int, list[tuple[str, int]]] = {}
    for why, same in reasons:
        image_id = same[0].image_id
        if image_id not in found and len(found) == count:
            break
        found.setdefault(image_id, []).append((why, same[0].annotation_id))
    return found


def _gap(same: tuple[PersonSimilarity, ...]) -> float:
    return max(one.oks for one in same) - min(one.oks for one in same)
