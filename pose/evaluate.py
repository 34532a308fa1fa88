"""Heatmaps -> keypoints -> rescoring -> OKS-NMS -> COCOeval's ten numbers."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pycocotools.coco import COCO as CocoApi
from pycocotools.cocoeval import COCOeval

from pose import geometry, heatmap
from pose.errors import UserError
from pose.files import read_json, write_json
from pose.recipe import Evaluation
from pose.records import PERSON, Id, rows_as
from pose.skeleton import COCO, NUM_JOINTS

NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
"""The order of COCOeval.stats for keypoints."""


class Result(msgspec.Struct, frozen=True, gc=False):
    """One row of predictions in COCO results format; keypoints are x, y, score in image pixels."""

    image_id: Id
    category_id: Id
    keypoints: list[float]
    score: float
    bbox: list[float] | None = None
    """Where the rows carry one, its area decides a prediction's size, as pycocotools has it."""


def keypoints_in_image(
    heatmaps: np.ndarray, centers: np.ndarray, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (N, K, 2) float64 in image pixels and joint scores (N, K) float32.

    heatmaps: (N, K, h, w); centers (N, 2), scales (N, 2) as geometry.center_scale gives them.
    """
    keypoints, scores = heatmap.decode(heatmaps)
    size = (heatmaps.shape[3], heatmaps.shape[2])
    mapped = [
        geometry.apply(geometry.affine(c, s, 0.0, size, inverse=True), k)
        for k, c, s in zip(keypoints, centers, scales, strict=True)
    ]
    return np.array(mapped).reshape(-1, NUM_JOINTS, 2), scores


def rescore(joint_scores: np.ndarray, box_scores: np.ndarray, threshold: float) -> np.ndarray:
    """Return person scores (N,): box score x mean of the joint scores above `threshold`, 0 without any.

    Summed joint by joint and in the reference's order of operations: which of two people is the better by
    the last bit decides whom OKS-NMS keeps.
    """
    valid = joint_scores > threshold
    total = np.add.accumulate(np.where(valid, joint_scores, 0), axis=1, dtype=np.float64)[:, -1]
    return np.asarray(total / np.maximum(valid.sum(axis=1), 1) * box_scores)


def oks(keypoints: np.ndarray, others: np.ndarray, area: float, other_areas: np.ndarray) -> np.ndarray:
    """Return the similarity (M,) of keypoints (K, 2) with others (M, K, 2), every joint counted.

    The areas are those of the padded boxes; source: the reference code's lib/nms/nms.py.
    """
    variance = (2 * np.array(COCO.oks_sigmas)) ** 2
    squared = ((others - keypoints) ** 2).sum(axis=2)
    mean_area = ((area + other_areas) / 2 + np.spacing(1))[:, None]
    return np.asarray(np.exp(-squared / variance / mean_area / 2).mean(axis=1))


def oks_nms(keypoints: np.ndarray, scores: np.ndarray, areas: np.ndarray, threshold: float) -> list[int]:
    """Return indices kept, best first: a person goes when a better one has OKS above `threshold`.

    keypoints (M, K, 2), scores (M,), areas (M,). Of equal scores the later row goes first,
    as the reference's argsort()[::-1] has it.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        similar = oks(keypoints[best], keypoints[rest], areas[best], areas[rest])
        order = rest[similar <= threshold]
    return kept


def results(
    keypoints_image: np.ndarray,
    joint_scores: np.ndarray,
    image_ids: np.ndarray,
    box_scores: np.ndarray,
    scales: np.ndarray,
    options: Evaluation,
) -> list[dict[str, Any]]:
    """Return predictions in COCO results format after rescoring and OKS-NMS, in order of image id."""
    scores = rescore(joint_scores, box_scores, options.joint_threshold)
    areas = np.prod(scales.astype(np.float64) * geometry.PIXEL_STD, axis=1)
    by_image: dict[int, list[int]] = defaultdict(list)
    for row, image_id in enumerate(image_ids.tolist()):
        by_image[image_id].append(row)
    rows: list[dict[str, Any]] = []
    for image_id in sorted(by_image):
        members = np.array(by_image[image_id])
        kept = oks_nms(keypoints_image[members], scores[members], areas[members], options.oks_nms_threshold)
        for row in members[kept]:
            triples = np.concatenate([keypoints_image[row], joint_scores[row][:, None]], axis=1)
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": PERSON,
                    "keypoints": triples.reshape(-1).tolist(),
                    "score": float(scores[row]),
                }
            )
    return rows


def score(predictions: Sequence[dict[str, Any]], ground_truth: dict[str, Any]) -> dict[str, float]:
    """Return COCOeval's ten numbers; -1 where the ground truth has no person of that size.

    predictions: COCO results rows; ground_truth: a COCO annotation dict. `why_nobody` says why all are -1.
    """
    evaluation = matched(predictions, ground_truth)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NUMBERS, (float(v) for v in evaluation.stats), strict=True))


def matched(predictions: Sequence[dict[str, Any]], ground_truth: dict[str, Any]) -> COCOeval:
    """Return pycocotools' evaluation with predictions and people matched, and nothing accumulated."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _indexed(ground_truth)
        found = (
            truth.loadRes([dict(row) for row in predictions])
            if predictions
            else _indexed({**ground_truth, "annotations": []})
        )
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
    return evaluation


def _indexed(ground_truth: dict[str, Any]) -> Any:
    """Return pycocotools' index over copies of the people, since COCOeval writes into them.

    They are numbered anew from 1: COCOeval takes a person with the id 0 for one that was not found, and of
    two with one id it sees the last.
    """
    people = [row for row in ground_truth["annotations"] if row["category_id"] == PERSON]
    api = CocoApi()
    api.dataset = {**ground_truth, "annotations": [row | {"id": n} for n, row in enumerate(people, 1)]}
    api.createIndex()
    return api


def why_nobody(ground_truth: dict[str, Any]) -> str | None:
    """Return why no person of a ground truth counts, so that every number is -1; None where one does."""
    people = [row for row in ground_truth["annotations"] if row["category_id"] == PERSON]
    crowds = sum(bool(row["iscrowd"]) for row in people)
    if any(row["num_keypoints"] and not row["iscrowd"] for row in people):
        return None
    return (
        f"no person of the ground truth counts: of {len(people)} people {crowds} are crowds and "
        f"{len(people) - crowds} have num_keypoints 0"
    )


def save_predictions(path: Path, predictions: Sequence[dict[str, Any]]) -> None:
    """Write predictions in COCO results format to `path`."""
    write_json(path, list(predictions), indent=None)


def read_predictions(path: Path, ground_truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the predictions in `path`; UserError for a malformed file or an unknown image."""
    raw = read_json(path, "predictions in COCO results format")
    try:
        rows = rows_as(raw, Result)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path}: {error}; expected a list of {{image_id, category_id, keypoints: [51 numbers], score}}"
        ) from error
    known = {image["id"] for image in ground_truth["images"]}
    for number, row in enumerate(rows, 1):
        if len(row.keypoints) != 3 * NUM_JOINTS:
            raise UserError(
                f"{path}: row {number} has {len(row.keypoints)} keypoint numbers; expected {3 * NUM_JOINTS}"
            )
        if row.image_id not in known:
            raise UserError(
                f"{path}: row {number} is of image {row.image_id}, which is not in the ground truth; "
                "expected predictions of the same split"
            )
        if rows[0].bbox and len(row.bbox or ()) != 4:
            raise UserError(
                f"{path}: row {number} has the bbox {row.bbox}; expected [x, y, width, height] in every row, "
                "as in the first, or in none"
            )
    _require_people(rows, path)
    return [_as_row(row, bool(rows[0].bbox)) for row in rows]


def _require_people(rows: list[Result], path: Path) -> None:
    found = {row.category_id for row in rows}
    if found and PERSON not in found:
        raise UserError(
            f"{path}: of {len(rows)} rows none has category_id {PERSON}, the person "
            f"(there are: {', '.join(map(str, sorted(found)))})"
        )


def _as_row(row: Result, with_box: bool) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(row)
    if not with_box:
        del fields["bbox"]
    return fields
