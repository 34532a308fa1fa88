"""Detection files in COCO results format, in place of ground-truth boxes."""

from __future__ import annotations

import json

import pytest

from pose import coco, inference, splits
from pose.errors import UserError
from pose.geometry import center_scale

GOOD = {"image_id": 1, "category_id": 1, "bbox": [10.0, 5.0, 40.5, 60.0], "score": 0.75}


@pytest.fixture
def detections(tmp_path):
    """Return a function that writes rows to a file and returns its path."""

    def write(*rows):
        path = tmp_path / "detections.json"
        path.write_text(json.dumps(list(rows)))
        return path

    return write


def test_boxes_and_scores_are_the_files_and_ids_count_its_rows(drawn, detections):
    other = [GOOD | {"category_id": 3}, GOOD | {"image_id": 999}]
    second = GOOD | {"image_id": 8, "score": 0.25, "bbox": [-5, 3, 7, 900]}
    dataset = coco.with_detections(coco.load(drawn, "train2017"), detections(*other, GOOD, second))
    assert dataset.ann_ids.tolist() == [3, 4]
    assert dataset.image_ids.tolist() == [1, 8]
    # As in the reference, a detector's box is not clipped.
    assert dataset.boxes.tolist() == [GOOD["bbox"], [-5, 3, 7, 900]]
    assert dataset.box_scores.tolist() == [0.75, 0.25]
    assert not dataset.labelled.any()
    assert dataset.read(1).shape == (90, 120, 3)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"bbox": [1, 2, 0, 4]}, "row 2 has a box of 0.0x4.0; expected positive width and height"),
        ({"bbox": [1, 2, 4, -1]}, "row 2 has a box of 4.0x-1.0"),
        ({"bbox": [1, 2, 3]}, r"\$\[1\].bbox"),
        ({"score": "high"}, r"\$\[1\].score"),
        ({"score": float("nan")}, "is not JSON"),
        ({"image_id": None}, r"\$\[1\].image_id"),
    ],
)
def test_a_wrong_row_is_refused_by_number(drawn, detections, row, words):
    with pytest.raises(UserError, match=words):
        coco.with_detections(coco.load(drawn, "train2017"), detections(GOOD, GOOD | row))


def test_a_file_of_other_images_is_refused(drawn, detections):
    with pytest.raises(UserError, match="no person box for this split's images"):
        coco.with_detections(coco.load(drawn, "val2017"), detections(GOOD))


@pytest.mark.parametrize("content", [b"", b"{}", b"[{}]", b"[1]", b"\xff\xfe", b'[{"image_id": 1'])
def test_a_malformed_file_is_refused(drawn, tmp_path, content):
    (tmp_path / "d.json").write_bytes(content)
    with pytest.raises(UserError, match=r"d\.json"):
        coco.with_detections(coco.load(drawn, "train2017"), tmp_path / "d.json")


def test_inputs_of_a_split_take_detected_boxes(drawn, detections, small):
    manifest = splits.make(small.split, drawn)
    image = manifest.part("val").image_ids[0]
    path = detections(GOOD | {"image_id": image}, GOOD | {"image_id": manifest.part("train").image_ids[0]})
    inputs = inference.Inputs(small, drawn, manifest, "val", path)
    assert inputs.dataset.image_ids.tolist() == [image]
    center, scale = center_scale(GOOD["bbox"], small.model.input_size)
    assert inputs.centers.tolist() == [center.tolist()]
    assert inputs.scales.tolist() == [scale.tolist()]
