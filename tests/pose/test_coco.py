"""The official layout: which annotations are used, and how a broken file is refused."""

from __future__ import annotations

import json

import cocofolder
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose import coco, geometry
from pose.errors import UserError

ALL = 16
NOBODY = {"keypoints": [0] * 51, "num_keypoints": 0}


def test_the_usable_people_come_in_order_of_image_and_id(drawn):
    dataset = coco.load(drawn, "train2017")
    assert len(dataset) == ALL
    assert len(dataset.images) == 8
    assert dataset.ann_ids.tolist() == [10 * i + side for i in range(1, 9) for side in (1, 2)]
    assert dataset.image_ids.tolist() == [i for i in range(1, 9) for _ in (1, 2)]
    assert dataset.keypoints_image.shape == (ALL, 17, 2)
    assert dataset.box_scores.tolist() == [1] * ALL


def test_values_are_those_of_the_file(drawn):
    dataset, rows = coco.load(drawn, "train2017"), cocofolder.read(drawn)["annotations"]
    by_id = {row["id"]: row for row in rows}
    for i, number in enumerate(dataset.ann_ids.tolist()):
        keypoints = np.array(by_id[number]["keypoints"]).reshape(17, 3)
        x, y, w, h = by_id[number]["bbox"]
        assert np.array_equal(dataset.keypoints_image[i], keypoints[:, :2])
        assert np.array_equal(dataset.labelled[i], keypoints[:, 2] > 0)
        assert dataset.boxes[i].tolist() == [x, y, w - 1, h - 1]
        assert dataset.read(i).shape == (cocofolder.HEIGHT, cocofolder.WIDTH, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"iscrowd": 1},
        {"area": 0},
        {"area": -4.5},
        NOBODY,
        {"keypoints": [5, 5, 0] * 17, "num_keypoints": 0},
        {"keypoints": [5, 5, -1] * 17},
        {"keypoints": []},
        {"category_id": 2},
        {"bbox": [120, 0, 30, 30]},
        {"bbox": [119, 89, 30, 30]},
        {"bbox": [0, 90, 30, 30]},
        {"bbox": [10, 10, 1, 1]},
        {"bbox": [10, 10, 0, 0]},
    ],
    ids=str,
)
def test_an_unusable_annotation_is_left_out(own, changes):
    number = cocofolder.edit_person(own, **changes)
    dataset = coco.load(own, "train2017")
    assert len(dataset) == ALL - 1
    assert number not in dataset.ann_ids


@pytest.mark.parametrize(
    "changes",
    [
        {"area": 1e-9},
        {"keypoints": [0] * 48 + [7, 8, 1], "num_keypoints": 1},
        {"bbox": [118, 0, 30, 30]},
        {"bbox": [10, 10, 1, 5]},
        {"bbox": [-500, -500, 5000, 5000]},
    ],
    ids=str,
)
def test_a_barely_usable_annotation_is_used(own, changes):
    assert cocofolder.edit_person(own, **changes) in coco.load(own, "train2017").ann_ids


numbers = st.floats(-300, 300)


@settings(max_examples=200)
@given(st.tuples(numbers, numbers, numbers, numbers), st.integers(1, 200), st.integers(1, 200))
def test_the_crop_of_every_usable_box_can_be_undone(box, width, height):
    clipped = geometry.clip_box(np.array(box), width, height)
    if clipped is None:
        return
    assert (clipped[:2] >= 0).all()
    assert clipped[0] + clipped[2] <= width - 1
    assert clipped[1] + clipped[3] <= height - 1
    if clipped[2:].max() > 1e-3:
        affine = geometry.affine(*geometry.center_scale(clipped, (96, 128)), 0.0, (96, 128))
        assert abs(np.linalg.det(affine[:, :2])) > 0


def duplicate(kind):
    return lambda content: content[kind].append(dict(content[kind][0]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_id": 77}, "names image 77, which the file does not list"),
        ({"keypoints": [1, 2, 2] * 16}, "has 48 keypoint numbers; expected 51"),
        ({"keypoints": [float("nan"), 2, 2] * 17}, "holds a number that is not finite"),
        ({"bbox": [1, 2, float("inf"), 4]}, "holds a number that is not finite"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"area": "big"}, "Expected `float`, got `str`"),
        ({"id": None}, "Expected `int`, got `null`"),
    ],
)
def test_a_wrong_annotation_is_refused_by_name(own, changes, words):
    cocofolder.edit_person(own, **changes)
    with pytest.raises(UserError, match="twinpose data check") as refusal:
        coco.load(own, "train2017")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "words"), [("images", "image id twice"), ("annotations", "annotation id twice")]
)
def test_an_id_given_twice_is_refused(own, kind, words):
    cocofolder.edit(own, duplicate(kind))
    with pytest.raises(UserError, match=words):
        coco.load(own, "train2017")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"person_keypoints_val2017\.json: No such file"):
        coco.load(tmp_path, "val2017")


@settings(max_examples=40)
@given(cut=st.integers(0, 5000))
def test_a_truncated_file_is_refused_wherever_it_ends(drawn, tmp_path_factory, cut):
    whole = cocofolder.path(drawn).read_bytes()
    root = tmp_path_factory.mktemp("cut")
    (root / "annotations").mkdir()
    cocofolder.path(root).write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(UserError, match="is no COCO annotation file"):
        coco.load(root, "train2017")


def test_a_file_that_changed_is_read_again(own):
    assert len(coco.load(own, "train2017")) == ALL
    assert coco.load(own, "train2017") is coco.load(own, "train2017")
    cocofolder.edit_person(own, iscrowd=1)
    assert len(coco.load(own, "train2017")) == ALL - 1


def test_merging_keeps_every_instance_in_order(drawn):
    train, val = coco.load(drawn, "train2017"), coco.load(drawn, "val2017")
    both = coco.merge([val, train])
    assert len(both) == len(train) + len(val)
    assert both.ann_ids.tolist() == train.ann_ids.tolist() + val.ann_ids.tolist()
    assert both.image_path(1).is_file()
    assert both.image_path(101).is_file()
    assert coco.merge([train]) is train


def test_clashing_ids_cannot_be_merged(own):
    train = coco.load(own, "train2017")
    with pytest.raises(UserError, match="image 1 stands in two annotation files"):
        coco.merge([train, train])
    cocofolder.edit_person(own, "val2017", id=11)
    with pytest.raises(UserError, match="annotation 11 stands in two annotation files"):
        coco.merge([train, coco.load(own, "val2017")])


def test_an_image_of_another_size_is_refused(own):
    cocofolder.edit(own, lambda content: content["images"][0].update(width=121))
    with pytest.raises(UserError, match="is 120x90; its annotation says 121x90; run 'twinpose data check'"):
        coco.load(own, "train2017").read(0)


def test_ground_truth_keeps_crowds_and_the_unlabelled_and_drops_other_images(own):
    cocofolder.edit_person(own, index=1, **NOBODY)
    truth = coco.ground_truth(own, ["train2017"], [1, 2])
    wanted = [a for a in cocofolder.read(own)["annotations"] if a["image_id"] in (1, 2)]
    assert [image["id"] for image in truth["images"]] == [1, 2]
    assert {a["id"]: a["keypoints"] for a in truth["annotations"]} == {
        a["id"]: a["keypoints"] for a in wanted
    }
    assert sum(a["iscrowd"] for a in truth["annotations"]) == 1
    assert all("segmentation" not in a for a in truth["annotations"])
    json.dumps(truth, allow_nan=False)


def test_real_coco_is_read(coco_mini):
    train, val = coco.load(coco_mini, "train2017"), coco.load(coco_mini, "val2017")
    assert (len(train.images), len(train)) == (38, 86)
    assert (len(val.images), len(val)) == (41, 68)
    assert all(val.read(i).dtype == np.uint8 for i in range(3))
