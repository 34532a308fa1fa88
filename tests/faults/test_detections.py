"""Detections that cannot be meant are refused, and the refusal says why."""

from __future__ import annotations

import codecs
import json

import mini_coco
import pytest

from pose import coco
from pose.errors import UserError


@pytest.fixture
def detected(tmp_path):
    """Return a function that gives every person of val2017 a detection with these fields."""
    documents = mini_coco.build(tmp_path / "c", train=0)
    dataset = coco.load(tmp_path / "c", "val2017")

    def read(mark=b"", **fields):
        rows = [
            {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.9} | fields
            for a in documents["val2017"]["annotations"]
        ]
        (tmp_path / "d.json").write_bytes(mark + json.dumps(rows).encode())
        return coco.with_detections(dataset, tmp_path / "d.json")

    return read


@pytest.mark.parametrize("category", [0, 2])
def test_boxes_of_other_categories_alone_are_refused_by_category(detected, category):
    with pytest.raises(UserError, match=rf"of 3 boxes none has category_id 1, .* \(there are: {category}\)"):
        detected(category_id=category)


def test_boxes_of_other_images_alone_are_counted(detected):
    with pytest.raises(UserError, match=r"this split's images \(3 rows, all of other images\)"):
        detected(image_id=99)


@pytest.mark.parametrize("box", [[0.1, 0.1, 0.5, 0.8], [0, 0, 1, 1], [5, 5, 1e-9, 1e-9]])
def test_normalised_and_tiny_boxes_are_refused_as_no_pixels(detected, box):
    with pytest.raises(UserError, match=r"row 1 has a box of .*, no larger than a pixel; expected pixels"):
        detected(bbox=box)


@pytest.mark.parametrize("box", [[0, 0, 0.5, 40], [0, 0, 1.5, 1], [-3, 0, 400, 300]])
def test_a_sliver_and_a_box_beyond_the_image_are_boxes(detected, box):
    assert detected(bbox=box).boxes.tolist() == [box] * 3


def test_whole_floats_are_ids_and_a_mark_of_encoding_is_none_of_the_file(detected):
    assert len(detected(category_id=1.0)) == 3
    assert len(detected(mark=codecs.BOM_UTF8)) == 3


def test_image_ids_may_be_whole_floats(detected):
    assert detected(image_id=2.0).image_ids.tolist() == [2] * 3
