"""How far apart two APs are, with an interval: the paired percentile bootstrap over images.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pose import evaluate

LEVEL = 0.95
ROUNDING = 1e-12
"""APs that agree to so much agree."""
BLOCK = 2**22
"""Numbers in one block of resamples: what bounds the memory."""


@dataclass(frozen=True, eq=False)
class Matches:
    """COCOeval's matching over all areas, predictions of all images by falling score."""

    right: np.ndarray
    """(T, D) bool: the prediction found a person, at each OKS threshold."""
    wrong: np.ndarray
    """(T, D) bool: it found none. One that is neither is ignored: it lies on a crowd, say."""
    image: np.ndarray
    """(D,): each prediction's place among the images."""
    people: np.ndarray
    """(I,): how many people of each image count."""
    recalls: np.ndarray
    """(R,): where precision is read off."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fields by name, as `of_arrays` takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def of_arrays(arrays: Mapping[str, np.ndarray]) -> Matches | None:
    """Return the matches that `to_arrays` gave; None where an array is missing."""
    names = [field.name for field in fields(Matches)]
    return Matches(**{name: arrays[name] for name in names}) if set(names) <= set(arrays) else None


def match(predictions: Sequence[dict[str, Any]], ground_truth: dict[str, Any]) -> Matches:
    """Return which predictions (COCO results rows) are right; the slow part, done once.

    ground_truth: a COCO annotation dict whose one category is the person.
    """
    evaluation = evaluate.matched(predictions, ground_truth)
    # By category, area and image; the first area is all of them.
    images = evaluation.evalImgs[: len(evaluation.params.imgIds)]
    found = [(number, image) for number, image in enumerate(images) if image is not None]
    people = np.zeros(len(images), np.int64)
    for number, image in found:
        people[number] = np.count_nonzero(np.equal(image["gtIgnore"], 0))
    scores = np.concatenate([np.zeros(0), *(image["dtScores"] for _, image in found)])
    order = np.argsort(-scores, kind="stable")
    nothing = np.zeros((len(evaluation.params.iouThrs), 0), bool)
    hit = np.concatenate([nothing, *(image["dtMatches"] != 0 for _, image in found)], axis=1)[:, order]
    ignored = np.concatenate([nothing, *(image["dtIgnore"] for _, image in found)], axis=1)[:, order]
    place = np.repeat(
        np.array([number for number, _ in found], np.int64), [len(image["dtScores"]) for _, image in found]
    )
    return Matches(
        right=hit & ~ignored,
        wrong=~hit & ~ignored,
        image=place[order],
        people=people,
        recalls=evaluation.params.recThrs,
    )


def average_precision(matches: Matches, counts: np.ndarray) -> np.ndarray:
    """Return COCO AP (B,) where image i is there counts[b, i] times; NaN where nobody is there.

    counts: (B, I) integers. The copies of a prediction follow each other, which leaves AP what
    COCOeval makes of a set with copied images: precision is read off as the largest at or beyond a
    recall, and inside a run of copies it only rises (right) or only falls (wrong). Two predictions of
    one image with the very same score may differ from COCOeval, which would alternate their copies.
    """
    found: np.ndarray = np.full(len(counts), np.nan)
    rows = max(1, BLOCK // max(1, matches.right.size))
    for start in range(0, len(counts), rows):
        block = counts[start : start + rows]
        weights = block[:, None, matches.image]  # (b, 1, D)
        right = np.cumsum(weights * matches.right, axis=2).astype(np.float64)
        wrong = np.cumsum(weights * matches.wrong, axis=2)
        precision = right / (wrong + right + np.spacing(1))
        precision = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
        for number, people in enumerate(block @ matches.people):
            if people:
                found[start + number] = _mean_precision(
                    right[number] / people, precision[number], matches.recalls
                )
    return found


def _mean_precision(recall: np.ndarray, precision: np.ndarray, recalls: np.ndarray) -> float:
    """Return the mean over OKS thresholds and `recalls` of precision (T, D), 0 beyond the last recall."""
    beyond = np.zeros(1)
    read = [
        np.concatenate([p, beyond])[np.searchsorted(r, recalls)]
        for r, p in zip(recall, precision, strict=True)
    ]
    return float(np.mean(read))


def ap(matches: Matches) -> float:
    """Return COCO AP of the images as they are; NaN where nobody counts."""
    return float(average_precision(matches, np.ones((1, len(matches.people)), np.int64))[0])


def difference(first: Matches, second: Matches, draws: int, seed: int) -> tuple[float, float, float]:
    """Return AP(first) - AP(second) and the ends of its interval, both on the same drawn images.

    A draw in which nobody counts is left out; NaN where nobody counts at all.
    """
    low, high = interval(resampled(first, draws, seed) - resampled(second, draws, seed))
    return ap(first) - ap(second), low, high


def resampled(matches: Matches, draws: int, seed: int) -> np.ndarray:
    """Return the AP (draws,) of images drawn with replacement; the same for the same seed and image count.

    NaN for a draw in which nobody counts.
    """
    images = len(matches.people)
    drawn = np.random.default_rng(seed).integers(0, images, (draws, images))
    return average_precision(matches, np.stack([np.bincount(row, minlength=images) for row in drawn]))


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the ends of the 95% percentile interval of resampled differences; NaN where all are NaN."""
    usable = differences[~np.isnan(differences)]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(usable, [tail, 100 - tail]) if usable.size else (np.nan, np.nan)
    return float(low), float(high)


def p_of_none(difference: float, drawn: np.ndarray) -> float:
    """Return the two-sided p of no difference, from one and its resampled values `drawn` (draws,).

    Normal, with the standard error of the bootstrap (Efron and Tibshirani 1993, chapter 12): a share of the
    draws is never below 1 / draws, which a correction for many comparisons would make too much of.
    NaN where all draws are NaN; without scatter 0, or 1 for no difference.
    """
    usable = drawn[~np.isnan(drawn)]
    error = float(np.std(usable)) if usable.size else math.nan
    if error < ROUNDING:
        return float(abs(difference) < ROUNDING)
    return math.erfc(abs(difference) / error / math.sqrt(2))
