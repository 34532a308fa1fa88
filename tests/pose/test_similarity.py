"""How near people are predicted: as pycocotools has it, and whom the report shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose.evaluate import matched
from pose.similarity import PersonSimilarity, chosen, of_people
from pose.skeleton import COCO, NUM_JOINTS


def person(rng: np.random.Generator, annotation_id: int, image_id: int) -> dict[str, Any]:
    points = np.column_stack([rng.uniform(0, 200, (NUM_JOINTS, 2)), rng.integers(0, 3, NUM_JOINTS)])
    points[0, 2] = 2
    return {
        "id": annotation_id, "image_id": image_id, "category_id": 1, "iscrowd": 0,
        "area": float(rng.uniform(100, 9000)), "bbox": [0, 0, 200, 200],
        "num_keypoints": int((points[:, 2] > 0).sum()), "keypoints": points.ravel().tolist(),
    }  # fmt: skip


def truth_of(people: list[dict[str, Any]]) -> dict[str, Any]:
    images = [{"id": i, "width": 200, "height": 200} for i in sorted({p["image_id"] for p in people})]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": []}
    return {"images": images, "annotations": people, "categories": [category]}


def prediction(rng: np.random.Generator, like: dict[str, Any], score: float) -> dict[str, Any]:
    points = np.asarray(like["keypoints"]).reshape(NUM_JOINTS, 3) + rng.normal(0, 6, (NUM_JOINTS, 3))
    return {
        "image_id": like["image_id"], "category_id": 1, "keypoints": points.ravel().tolist(), "score": score
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_oks_of_the_nearest_prediction_is_that_of_pycocotools(seed: int):
    rng = np.random.default_rng(seed)
    people = [person(rng, n, 1) for n in range(1, 4)]
    truth = truth_of(people)
    predictions = [prediction(rng, one, 0.9 - 0.1 * n) for n, one in enumerate(people)]
    theirs = matched(predictions, truth).ious[1, 1]
    ours = of_people(predictions, truth)
    assert [one.oks for one in ours] == pytest.approx(theirs.max(axis=0).tolist(), rel=1e-9)
    for one in ours:
        assert one.oks == pytest.approx(np.mean([v for v in one.joints if v is not None]))


def test_a_person_whom_nobody_predicts_is_at_zero_and_crowds_are_left_out():
    rng = np.random.default_rng(0)
    alone, crowd = person(rng, 1, 1), person(rng, 2, 1) | {"iscrowd": 1}
    [found] = of_people([], truth_of([alone, crowd]))
    assert (found.annotation_id, found.oks) == (1, 0.0)


def similar(*oks: float) -> list[PersonSimilarity]:
    """Return a person an image, of these similarities."""
    joints, seen = (1.0,) * NUM_JOINTS, (2,) * NUM_JOINTS
    return [PersonSimilarity(n, n, value, joints, seen, 900.0) for n, value in enumerate(oks)]


def test_the_best_the_middle_the_worst_and_where_twins_differ_most_are_chosen():
    found = chosen({"tf": similar(0.9, 0.5, 0.1, 0.8, 0.6), "torch": similar(0.9, 0.5, 0.1, 0.2, 0.5)}, 5)
    assert [(image, why) for image, of in found.items() for why, _ in of] == [
        *((0, "best"), (1, "median"), (2, "worst"), (3, "apart"), (4, "apart"))
    ]


def test_no_more_images_are_chosen_than_asked_and_one_twin_alone_differs_from_nobody():
    assert len(chosen({"tf": similar(0.9, 0.5, 0.1), "torch": similar(0.1, 0.9, 0.5)}, 2)) == 2
    assert {why for of in chosen({"tf": similar(0.9, 0.5, 0.1)}, 6).values() for why, _ in of} == {
        "best", "median", "worst",
    }  # fmt: skip
    assert chosen({"tf": [], "torch": []}, 6) == {}
    assert chosen({}, 6) == {}
