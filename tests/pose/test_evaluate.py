"""From heatmaps to COCO's ten numbers, against the published steps and pycocotools itself."""

from __future__ import annotations

import contextlib
import copy
import io
import json

import cocofolder
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools.coco import COCO as CocoApi
from pycocotools.cocoeval import COCOeval

from pose import coco, evaluate, geometry, published
from pose.errors import UserError
from pose.recipe import Evaluation

people = arrays.arrays(np.float64, (5, 17, 2), elements=st.floats(0, 60))
# Shared scores: ties decide by position.
scores = arrays.arrays(np.float64, 5, elements=st.sampled_from([0.1, 0.5, 0.5000001, 0.9]))
joint_scores = arrays.arrays(np.float32, (5, 17), elements=st.floats(-0.5, 1, width=32))


def crowd_of(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return keypoints, scores and areas of `count` people, most of them near another."""
    centres = rng.uniform(0, 300, (count // 4 + 1, 17, 2))
    keypoints = centres[rng.integers(0, len(centres), count)] + rng.normal(0, 1.5, (count, 17, 2))
    return keypoints, rng.uniform(0, 1, count), rng.uniform(2000, 9000, count)


def perfect(truth: dict, score: float = 1.0) -> list[dict]:
    """Return the labelled people of the ground truth as predictions."""
    labelled = [a for a in truth["annotations"] if not a["iscrowd"] and a["num_keypoints"]]
    row = {"category_id": 1, "score": score}
    return [
        row | {"image_id": a["image_id"], "keypoints": [float(v) for v in a["keypoints"]]} for a in labelled
    ]


def noisy(truth: dict, sigma: float, seed: int = 0) -> list[dict]:
    """Return `perfect` with joints off by `sigma` pixels, random scores and every sixth person twice."""
    rng, rows = np.random.default_rng(seed), []
    for number, row in enumerate(perfect(truth)):
        keypoints = np.array(row["keypoints"]).reshape(17, 3)
        keypoints[:, :2] += rng.normal(0, sigma, (17, 2))
        rows.append(row | {"keypoints": keypoints.reshape(-1).tolist(), "score": float(rng.uniform(0.1, 1))})
        rows += [rows[-1] | {"score": 0.05}] if number % 6 == 0 else []
    return rows


def official(truth_path, predictions_path) -> list[float]:
    """Return what pycocotools makes of two files, as its own demonstration does."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = CocoApi(str(truth_path))
        evaluation = COCOeval(truth, truth.loadRes(str(predictions_path)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats.tolist()


@pytest.fixture
def truth(drawn) -> dict:
    return coco.ground_truth(drawn, ["train2017"], list(range(1, 9)))


@settings(max_examples=30)
@given(arrays.arrays(np.float32, (2, 17, 6, 5), elements=st.floats(-1, 1, width=32)), st.floats(1, 900))
def test_keypoints_in_the_image_are_the_published_ones(maps, extent):
    boxes = np.array([[3.0, 4.0, extent, 20.0], [50.0, 60.0, 30.0, extent]])
    pairs = [geometry.center_scale(box, (96, 128)) for box in boxes]
    centers, scales = (np.array(column) for column in zip(*pairs, strict=True))
    found, peaks = evaluate.keypoints_in_image(maps, centers, scales)
    expected, expected_peaks = published.get_final_preds(maps, centers, scales)
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(peaks, expected_peaks)


@given(joint_scores, arrays.arrays(np.float64, 5, elements=st.floats(0, 1)), st.sampled_from([0.0, 0.2, 0.9]))
def test_rescoring_is_the_published_one(joints, boxes, threshold):
    found = evaluate.rescore(joints, boxes, threshold)
    expected = [published.rescored(j, b, threshold) for j, b in zip(joints, boxes, strict=True)]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(people, scores, st.sampled_from([0.05, 0.5, 0.9]))
def test_oks_nms_keeps_whom_the_published_one_keeps(keypoints, person_scores, threshold):
    areas = np.array([400.0, 900.0, 1600.0, 2500.0, 900.0])
    found = evaluate.oks_nms(keypoints, person_scores, areas, threshold)
    assert found == published.oks_nms(keypoints, person_scores, areas, threshold)


@given(people)
def test_oks_is_the_published_one(keypoints):
    areas = np.array([0.0, 900.0, 1600.0, 2500.0, 900.0])
    for one in range(5):
        found = evaluate.oks(keypoints[one], keypoints, areas[one], areas)
        expected = [published.oks_iou(keypoints[one], keypoints[i], areas[one], areas[i]) for i in range(5)]
        assert found == pytest.approx(expected, rel=0, abs=1e-12)


@given(
    people,
    arrays.arrays(np.float32, (5, 17), elements=st.sampled_from([-0.5, 0.0, 0.2, 0.5, 0.9])),
    st.lists(st.integers(1, 3), min_size=5, max_size=5),
    scores,
    st.sampled_from([0.0, 0.2, 0.9]),
    st.sampled_from([0.05, 0.5, 0.9]),
)
def test_results_are_the_published_ones(keypoints, joints, image_ids, boxes, joint_threshold, oks_threshold):
    scales = np.array([[0.1, 0.15], [0.2, 0.2], [0.3, 0.1], [0.05, 0.05], [0.4, 0.3]], np.float32)
    options = Evaluation(joint_threshold=joint_threshold, oks_nms_threshold=oks_threshold)
    rows = evaluate.results(keypoints, joints, np.array(image_ids), boxes, scales, options)
    expected = published.evaluate(
        keypoints, joints, image_ids, boxes.tolist(), scales, joint_threshold, oks_threshold
    )
    expected.sort(key=lambda row: row[0])
    assert [row["image_id"] for row in rows] == [image for image, _, _ in expected]
    assert [row["score"] for row in rows] == pytest.approx([score for *_, score in expected], rel=1e-12)
    for row, (_, person, _) in zip(rows, expected, strict=True):
        triples = np.reshape(row["keypoints"], (17, 3))
        assert np.array_equal(triples[:, :2], keypoints[person])
        assert np.array_equal(triples[:, 2], joints[person])


@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.9])
def test_oks_nms_of_a_crowd_is_the_published_one_and_removes_some(threshold):
    crowd = crowd_of(np.random.default_rng(0), 40)
    found = evaluate.oks_nms(*crowd, threshold)
    assert found == published.oks_nms(*crowd, threshold)
    assert 10 <= len(found) < 40


def test_oks_nms_spares_whom_the_threshold_just_meets():
    twins = np.ones((2, 17, 2)) * [[[3.0, 4.0]]]
    assert evaluate.oks_nms(twins, np.array([0.5, 0.9]), np.full(2, 900.0), 1.0) == [1, 0]
    assert evaluate.oks_nms(twins, np.array([0.5, 0.9]), np.full(2, 900.0), 0.999) == [1]


@given(people)
def test_oks_of_a_person_with_itself_is_one_and_it_is_symmetric(keypoints):
    areas = np.full(5, 900.0)
    from_first = evaluate.oks(keypoints[0], keypoints, areas[0], areas)
    assert from_first[0] == 1
    for other in range(5):
        back = evaluate.oks(keypoints[other], keypoints[:1], areas[other], areas[:1])
        assert back[0] == pytest.approx(from_first[other])


def test_results_are_rescored_suppressed_within_an_image_and_in_order_of_image():
    keypoints = np.repeat(np.arange(34.0).reshape(1, 17, 2) * 3, 4, axis=0)
    joints = np.full((4, 17), 0.5, np.float32)
    scales = np.full((4, 2), 0.3, np.float32)
    rows = evaluate.results(
        keypoints, joints, np.array([9, 2, 2, 9]), np.array([0.5, 0.2, 0.8, 0.9]), scales, Evaluation()
    )
    # The two people of an image coincide, so that the better one stays.
    assert [(row["image_id"], row["score"]) for row in rows] == [
        (2, pytest.approx(0.4)),
        (9, pytest.approx(0.45)),
    ]
    assert rows[0]["category_id"] == 1
    assert np.array(rows[0]["keypoints"]).reshape(17, 3)[:, 2].tolist() == [0.5] * 17
    json.dumps(rows, allow_nan=False)


def test_the_ground_truth_as_prediction_scores_one_crowds_apart(truth):
    assert any(a["iscrowd"] for a in truth["annotations"])
    found = evaluate.score(perfect(truth), truth)
    assert found["AP"] == found["AP50"] == found["AR"] == pytest.approx(1)
    crowd = next(a for a in truth["annotations"] if a["iscrowd"])
    inside = perfect(truth)[0] | {"image_id": crowd["image_id"], "score": 0.01}
    x, y, w, h = crowd["bbox"]
    inside["keypoints"] = [x + w / 2, y + h / 2, 1.0] * 17
    # A person found in a crowd is neither right nor wrong.
    assert evaluate.score([*perfect(truth), inside], truth)["AP"] == pytest.approx(1)


def test_people_without_labelled_joints_are_no_misses(own):
    cocofolder.edit_person(own, keypoints=[0] * 51, num_keypoints=0)
    truth = coco.ground_truth(own, ["train2017"], list(range(1, 9)))
    assert len(perfect(truth)) == 15
    assert evaluate.score(perfect(truth), truth)["AP"] == pytest.approx(1)


def test_a_missing_person_costs_recall(truth):
    found = evaluate.score(perfect(truth)[:-4], truth)
    assert found["AR"] == pytest.approx(12 / 16)


def test_the_ten_numbers_are_pycocotools_own_from_the_saved_files(truth, tmp_path):
    predictions = noisy(truth, 1.5)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    evaluate.save_predictions(tmp_path / "p.json", predictions)
    expected = official(tmp_path / "truth.json", tmp_path / "p.json")
    found = evaluate.score(predictions, truth)
    assert list(found.values()) == expected
    assert len({round(v, 6) for v in expected}) > 5
    assert tuple(found) == ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
    # From the files alone, nothing remembered.
    read = evaluate.read_predictions(tmp_path / "p.json", truth)
    assert evaluate.score(read, json.loads((tmp_path / "truth.json").read_text())) == found


def test_real_ground_truth_scores_one_and_noise_less(coco_mini):
    dataset = coco.load(coco_mini, "val2017")
    truth = coco.ground_truth(coco_mini, ["val2017"], sorted(dataset.images))
    assert evaluate.score(perfect(truth), truth)["AP"] == pytest.approx(1)
    assert 0.05 < evaluate.score(noisy(truth, 4), truth)["AP"] < 0.95


def test_scoring_changes_neither_predictions_nor_ground_truth(truth):
    predictions = noisy(truth, 1)
    before = copy.deepcopy((predictions, truth))
    evaluate.score(predictions, truth)
    assert (predictions, truth) == before


def test_without_predictions_every_number_is_zero_or_undefined(truth):
    found = evaluate.score([], truth)
    assert set(found.values()) <= {0.0, -1.0}
    assert found["AP"] == found["AR"] == 0
    large = [a for a in truth["annotations"] if not a["iscrowd"] and a["area"] > 96**2]
    assert found["APL"] == (0 if large else -1)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"image_id": 999}, "row 2 is of image 999, which is not in the ground truth"),
        ({"keypoints": [1.0] * 50}, "row 2 has 50 keypoint numbers; expected 51"),
        ({"keypoints": None}, r"\$\[1\]\.keypoints"),
        ({"score": "good"}, r"\$\[1\]\.score"),
        ({"score": float("nan")}, "is not JSON"),
    ],
)
def test_a_wrong_prediction_is_refused_by_row(truth, tmp_path, row, words):
    first = perfect(truth)[0]
    (tmp_path / "p.json").write_text(json.dumps([first, first | row]))
    with pytest.raises(UserError, match=words):
        evaluate.read_predictions(tmp_path / "p.json", truth)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"image_id": 1}]', "null"])
def test_what_are_no_predictions_is_refused(truth, tmp_path, content):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(UserError, match=r"p\.json"):
        evaluate.read_predictions(tmp_path / "p.json", truth)
