"""The suite's own steps: samples, heatmaps, suppression and evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from pose import coco, evaluate, geometry, heatmap, sample
from pose.recipe import Evaluation
from pose.skeleton import COCO

PREDICTIONS = 6_000
"""About as many people as val2017 has with ground-truth boxes (6,352)."""


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(32, 17, 64, 48)).astype(np.float32)


@pytest.mark.benchmark(group="sample")
def test_decode_and_warp(benchmark, people, reference, one_thread):
    """The limit: what no definition of a sample can do without."""
    benchmark(lambda: [sample.crop(people, i, reference.model.input_size) for i in range(32)])


@pytest.mark.benchmark(group="sample")
def test_sample(benchmark, people, reference, one_thread):
    benchmark(lambda: [sample.make(people, i, reference, epoch=1) for i in range(32)])


@pytest.mark.benchmark(group="heatmap")
def test_encode(benchmark):
    joints = np.random.default_rng(0).uniform(0, 190, (17, 2))
    benchmark(heatmap.encode, joints, np.ones(17, bool), (192, 256), (48, 64), 2.0)


@pytest.mark.benchmark(group="heatmap")
def test_decode(benchmark, maps):
    benchmark(heatmap.decode, maps)


@pytest.mark.benchmark(group="heatmap")
def test_flip_back(benchmark, maps):
    benchmark(heatmap.flip_back, maps, COCO.flip_order, shift=True)


@pytest.mark.benchmark(group="evaluation")
def test_oks_nms_of_a_crowded_image(benchmark):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 600, (100, 17, 2))
    benchmark(evaluate.oks_nms, keypoints, rng.uniform(size=100), rng.uniform(900, 90_000, 100), 0.9)


@pytest.mark.benchmark(group="evaluation")
def test_evaluation_of_val2017s_size(benchmark, people):
    """Rescoring, OKS-NMS and COCOeval of 6,000 people in 2,000 images."""
    rng = np.random.default_rng(0)
    image_ids = np.repeat(np.arange(1, PREDICTIONS // 3 + 1), 3)
    truth = ground_truth(image_ids, rng)
    keypoints = np.array([a["keypoints"] for a in truth["annotations"]]).reshape(-1, 17, 3)[..., :2]
    keypoints = keypoints + rng.normal(0, 4, keypoints.shape)
    scales = np.array([geometry.center_scale(a["bbox"], (192, 256))[1] for a in truth["annotations"]])
    joint_scores = rng.uniform(0, 1, (PREDICTIONS, 17)).astype(np.float32)

    def evaluation() -> dict[str, float]:
        boxes = np.ones(PREDICTIONS)
        rows = evaluate.results(keypoints, joint_scores, image_ids, boxes, scales, Evaluation())
        return evaluate.score(rows, truth)

    found = benchmark.pedantic(evaluation, rounds=2)
    assert 0.1 < found["AP"] < 1


def ground_truth(image_ids: np.ndarray, rng: np.random.Generator) -> dict[str, list[dict[str, object]]]:
    """Return ground truth of one person for each of `image_ids`, every joint labelled."""
    annotations = []
    for number, image_id in enumerate(image_ids.tolist(), 1):
        x, y, w, h = rng.uniform([0, 0, 60, 90], [400, 300, 200, 180]).tolist()
        joints = np.column_stack([rng.uniform([x, y], [x + w, y + h], (17, 2)), np.full(17, 2)])
        annotations.append(
            {
                "id": number, "image_id": image_id, "category_id": coco.PERSON, "iscrowd": 0,
                "bbox": [x, y, w, h], "area": w * h * 0.6, "num_keypoints": 17,
                "keypoints": joints.reshape(-1).tolist(),
            }
        )  # fmt: skip
    images = [{"id": int(i), "width": 640, "height": 480, "file_name": "x.jpg"} for i in np.unique(image_ids)]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
