"""The one definition of a training sample, against the published formulas and against itself."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pose import augment, coco, published, recipe, sample
from pose.recipe import Recipe
from pose.skeleton import COCO

PLAIN = {"colour_jitter": None, "occlusion": None}


def reference_recipe(width: int, height: int, sigma: float) -> Recipe:
    model = {"backbone": "resnet50", "input_size": [width, height], "sigma_px": sigma}
    return recipe.from_dict({"name": "r", "model": model, "training": {"epochs": 1, "batch_size": 1}})


def compare(dataset: coco.Dataset, of: Recipe, epochs: list[int | None], limit: int) -> set[bool]:
    """Compare samples with the transcription; return which of flipped and not flipped were met."""
    flips = set()
    for index in range(min(limit, len(dataset))):
        for epoch in epochs:
            drawn = augment.NEUTRAL
            if epoch is not None:
                drawn = augment.draw(of.training.augmentation, 0, epoch, int(dataset.ann_ids[index]))
            made = sample.make(dataset, index, of, epoch=epoch)
            expected = published.training_sample(
                dataset.read(index), dataset.boxes[index], dataset.keypoints_image[index].tolist(),
                dataset.labelled[index].tolist(), of.model.input_size, of.model.heatmap_size,
                of.model.sigma_px, drawn.scale_factor, drawn.rotation_deg, drawn.flip,
            )  # fmt: skip
            assert np.array_equal(made.image, expected[0])
            assert np.array_equal(made.heatmaps, expected[1])
            assert np.array_equal(made.weights, expected[2])
            assert made.affine == pytest.approx(expected[3], abs=1e-9)
            flips.add(drawn.flip)
    return flips


@pytest.mark.parametrize(("width", "height", "sigma"), [(192, 256, 2), (288, 384, 3)])
def test_rendered_people_become_the_published_samples(rendered, width, height, sigma):
    dataset = coco.load(rendered, "train2017")
    assert compare(dataset, reference_recipe(width, height, sigma), [None, 1, 2], 6) == {True, False}


def test_real_people_become_the_published_samples(coco_mini):
    dataset = coco.load(coco_mini, "val2017")
    assert compare(dataset, reference_recipe(192, 256, 2), [None, 1, 2], 25) == {True, False}


def test_boxes_at_the_border_and_hidden_joints_become_the_published_samples(drawn):
    dataset = coco.load(drawn, "train2017")
    assert compare(dataset, reference_recipe(96, 128, 1), [None, 1, 2, 3], 16) == {True, False}


def test_the_affine_of_a_sample_maps_the_stored_joints_to_its_peaks(rendered, small):
    dataset = coco.load(rendered, "train2017")
    met = set()
    for index in range(len(dataset)):
        made = sample.make(dataset, index, small, epoch=1)
        points = dataset.keypoints_image[index] @ made.affine[:, :2].T + made.affine[:, 2]
        mirrored = np.linalg.det(made.affine[:, :2]) < 0
        if mirrored:
            points = points[COCO.flip_order]
        met.add(bool(mirrored))
        # As published, int() rounds toward zero: left of and above the input a peak is up to 1.5 off.
        inside = (points >= 0).all(axis=1)
        for joint in np.flatnonzero((made.heatmaps.max(axis=(1, 2)) == 1) & inside):
            row, column = divmod(made.heatmaps[joint].argmax(), made.heatmaps.shape[2])
            assert np.abs(points[joint] / 4 - [column, row]).max() <= 0.5 + 1e-6
    assert met == {True, False}


def test_flipping_twice_gives_back_the_sample(rendered, small, monkeypatch):
    """The sample of a mirrored picture with mirrored labels, flipped, is the sample of the picture."""
    dataset = coco.load(rendered, "train2017")
    index = 0
    straight = sample.make(dataset, index, small, epoch=None)
    picture = dataset.read(index)
    width = picture.shape[1]
    x, y, w, h = dataset.boxes[index]
    twin = dataset.take(np.array([index]), [int(dataset.image_ids[index])])
    mirrored = coco.Dataset(
        twin.root, twin.images, twin.ann_ids, twin.image_ids, np.array([[width - 1 - x - w, y, w, h]]),
        (twin.keypoints_image * [-1, 1] + [width - 1, 0])[:, COCO.flip_order],
        twin.labelled[:, COCO.flip_order],
        twin.box_scores,
    )  # fmt: skip
    monkeypatch.setattr(coco.Dataset, "read", lambda *_: np.ascontiguousarray(picture[:, ::-1]))
    monkeypatch.setattr(augment, "draw", lambda *_: augment.Parameters(flip=True))
    twice = sample.make(mirrored, 0, small, epoch=1)
    assert np.array_equal(twice.image, straight.image)
    assert np.array_equal(twice.heatmaps, straight.heatmaps)
    assert np.array_equal(twice.weights, straight.weights)
    back = np.vstack([twice.affine, [0, 0, 1]]) @ np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    assert back[:2] == pytest.approx(straight.affine, abs=1e-6)


def test_a_crop_is_the_image_of_the_unaugmented_sample(rendered, small):
    dataset = coco.load(rendered, "val2017")
    made = sample.make(dataset, 0, small, epoch=None)
    assert np.array_equal(sample.crop(dataset, 0, small.model.input_size), made.image)
    assert made.image.shape == (128, 96, 3)
    assert made.heatmaps.shape == (17, 32, 24)


def test_the_seed_is_the_recipes_unless_given(rendered, small):
    dataset = coco.load(rendered, "train2017")
    default, same, other = (
        sample.make(dataset, 0, small, epoch=1, seed=seed).image for seed in (None, small.training.seed, 99)
    )
    assert np.array_equal(default, same)
    assert not np.array_equal(default, other)


PROGRAM = """
import hashlib, json, sys
from pathlib import Path
import cv2
from pose import coco, recipe, sample
root, raw, keys = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
cv2.setNumThreads(int(sys.argv[4]))
dataset, made = coco.load(root, "train2017"), {}
for epoch, index in keys:
    s = sample.make(dataset, index, recipe.from_dict(raw), epoch=epoch)
    parts = (s.image, s.heatmaps, s.weights, s.affine)
    made[f"{epoch}/{index}"] = hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()
print(json.dumps(made))
"""


def hashes(root: Path, of: Recipe, keys: list[tuple[int, int]], threads: int) -> dict[str, str]:
    """Return the samples' hashes by 'epoch/index', made in a process of their own in the order of `keys`."""
    raw = json.dumps(of.model_dump(mode="json"))
    command = [sys.executable, "-c", PROGRAM, str(root), raw, json.dumps(keys), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return json.loads(done.stdout)


def test_order_process_threads_and_neighbours_cannot_change_a_sample(rendered, small):
    keys = [(epoch, index) for epoch in (1, 2) for index in range(4)]
    first = hashes(rendered, small, keys, threads=1)
    second = hashes(rendered, small, keys[::-1], threads=2)
    alone = hashes(rendered, small, [(2, 3)], threads=1)
    assert first == second
    assert alone["2/3"] == first["2/3"]
    assert len(set(first.values())) == len(keys)
    dataset = coco.load(rendered, "train2017")
    here = sample.make(dataset, 3, small, epoch=2)
    parts = (here.image, here.heatmaps, here.weights, here.affine)
    assert hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest() == first["2/3"]
