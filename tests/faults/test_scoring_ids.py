"""A score does not depend on the numbers by which people are told apart."""

from __future__ import annotations

import contextlib
import io
import json
from itertools import count

import mini_coco
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pose import coco, evaluate, recipe, splits
from pose.errors import UserError


def scored(root, predictions=None, part="val"):
    truth = splits.ground_truth(splits.make(recipe.Split(), root), root, part)
    document = json.loads(mini_coco.path(root, "val2017").read_text())
    return evaluate.score(predictions or mini_coco.perfect(document), truth)["AP"]


@pytest.mark.parametrize("people", [1, 4])
@pytest.mark.parametrize("first", [0, -2, -(2**63), 2**63 - 10])
def test_right_predictions_score_one_whatever_the_ids_of_people(tmp_path, first, people):
    def numbered(document, source):
        ids = count(first)
        for person in document["annotations"]:
            person["id"] = next(ids)

    mini_coco.build(tmp_path, val=people, change=numbered)
    assert scored(tmp_path) == pytest.approx(1)


def test_a_dog_with_a_persons_id_changes_no_score(tmp_path):
    def dog(document, source):
        person, image = document["annotations"][0], document["images"][1]
        document["annotations"].append(
            {"id": person["id"], "image_id": image["id"], "category_id": 18, "bbox": [1, 2, 30, 40]}
        )

    mini_coco.build(tmp_path, change=dog)
    assert scored(tmp_path) == pytest.approx(1)


def readers(root):
    """Return what reads val2017: for training and for scoring."""
    return (lambda: coco.load(root, "val2017"), lambda: coco.ground_truth(root, ["val2017"], [7]))


@pytest.mark.parametrize(
    "changes", [{"iscrowd": 1}, {"area": 0}, {"num_keypoints": 0, "keypoints": [0] * 51}], ids=str
)
def test_a_crowd_or_an_unused_person_with_anothers_id_is_refused_by_all(tmp_path, changes):
    def twice(document, source):
        document["annotations"].append(document["annotations"][0] | changes)

    mini_coco.build(tmp_path, change=twice)
    for read in readers(tmp_path):
        with pytest.raises(UserError, match="annotation id twice: 7"):
            read()


@pytest.mark.parametrize("changes", [{}, {"iscrowd": 1}, {"area": 0}], ids=str)
def test_a_person_of_an_unlisted_image_is_refused_though_it_is_not_used(tmp_path, changes):
    def stray(document, source):
        document["annotations"].append(document["annotations"][0] | {"id": 99, "image_id": 999} | changes)

    mini_coco.build(tmp_path, change=stray)
    for read in readers(tmp_path):
        with pytest.raises(UserError, match="annotation 99 names image 999"):
            read()


def pycocotools_numbers(root, rows):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(mini_coco.path(root, "val2017")))
        judged = COCOeval(truth, truth.loadRes(json.loads(json.dumps(rows))), "keypoints")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return dict(zip(evaluate.NUMBERS, judged.stats.tolist(), strict=True))


@pytest.mark.parametrize("box", [None, [], [0, 0, 20, 20], [0, 0, 150, 110]], ids=str)
def test_rows_with_boxes_score_as_pycocotools_scores_the_same_file(tmp_path, box):
    """Its sizes are then those of the boxes; a row of another size than its person counts otherwise."""
    document = mini_coco.build(tmp_path, val=6)["val2017"]
    rows = mini_coco.perfect(document)
    for n, row in enumerate(rows):
        row["keypoints"] = [v + n * 3 * (i % 3 != 2) for i, v in enumerate(row["keypoints"])]
        if box is not None:
            row["bbox"] = box
    rows.append(rows[0] | {"score": 0.95, "keypoints": [1, 1, 1] * 17})
    path = tmp_path / "p.json"
    path.write_text(json.dumps(rows))
    truth = coco.ground_truth(tmp_path, ["val2017"], [image["id"] for image in document["images"]])
    numbers = evaluate.score(evaluate.read_predictions(path, truth), truth)
    assert numbers == pycocotools_numbers(tmp_path, rows)


def predictions(root, tmp_path, *changes):
    document = mini_coco.build(root)["val2017"]
    rows = [row | change for row, change in zip(mini_coco.perfect(document), changes, strict=True)]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    return evaluate.read_predictions(tmp_path / "p.json", coco.ground_truth(root, ["val2017"], [7, 8, 9]))


def test_a_row_without_the_box_that_the_first_has_is_refused_by_number(tmp_path):
    with pytest.raises(UserError, match=r"row 3 has the bbox None; expected .* in every row"):
        predictions(tmp_path / "c", tmp_path, {"bbox": [1, 2, 3, 4]}, {"bbox": [1, 2, 3, 4]}, {})


def test_predictions_of_other_categories_alone_are_refused_by_category(tmp_path):
    with pytest.raises(UserError, match=r"none has category_id 1, the person \(there are: 0, 2\)"):
        predictions(tmp_path / "c", tmp_path, *({"category_id": n} for n in (0, 2, 2)))


def test_whole_floats_are_ids_in_predictions(tmp_path):
    rows = predictions(tmp_path / "c", tmp_path, {}, {"image_id": 8.0}, {"category_id": 1.0})
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(7, 1), (8, 1), (9, 1)]


def test_a_ground_truth_in_which_nobody_counts_says_why(tmp_path):
    def nobody(document, source):
        for person in document["annotations"][1:]:
            person["num_keypoints"] = 0
        document["annotations"][0]["iscrowd"] = 1

    mini_coco.build(tmp_path, change=nobody)
    truth = coco.ground_truth(tmp_path, ["val2017"], [7, 8, 9])
    assert evaluate.score([], truth)["AP"] == -1
    assert evaluate.why_nobody(truth) == (
        "no person of the ground truth counts: of 3 people 1 are crowds and 2 have num_keypoints 0"
    )
    mini_coco.build(tmp_path)
    assert evaluate.why_nobody(coco.ground_truth(tmp_path, ["val2017"], [7, 8, 9])) is None
