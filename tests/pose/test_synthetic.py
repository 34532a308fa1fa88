"""The rendered images and their labels: repeatable, within bounds, anatomically right, and hard."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO as CocoApi
from pycocotools.cocoeval import COCOeval

from pose.skeleton import COCO
from pose.synthetic import raster, render
from pose.synthetic.body import Build, pose_body
from pose.synthetic.camera import Camera
from pose.synthetic.casting import cast_people, sample_camera
from pose.synthetic.draws import pick
from pose.synthetic.figure import Dressmaker
from pose.synthetic.labels import label_joints, polygons
from pose.synthetic.poses import Limb, Pose
from pose.synthetic.poses import sample as sample_pose
from pose.synthetic.solids import BACKGROUND, Solids
from pose.synthetic.things import Furnisher
from pose.synthetic.wardrobe import sample_outfit

JOINT = {name: i for i, name in enumerate(COCO.joints)}
DIGEST = """
import hashlib, json
from pose.synthetic import render
image, people = render(5, 77)
print(hashlib.sha256(image.tobytes() + json.dumps(people).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def scenes():
    """Images and annotations of 110 scenes, about 220 people."""
    return [render(3, i) for i in range(1, 111)]


@pytest.fixture(scope="module")
def people(scenes):
    return [person for _, annotations in scenes for person in annotations]


def joints_of(person):
    return np.array(person["keypoints"], float).reshape(17, 3)


def test_a_fresh_process_renders_the_same_bytes():
    image, people = render(5, 77)
    here = hashlib.sha256(image.tobytes() + json.dumps(people).encode()).hexdigest()
    render(5, 78)
    there = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_seed_and_image_id_both_change_the_image():
    base = render(0, 1)[0]
    assert (render(0, 2)[0] != base).mean() > 0.5
    assert (render(1, 1)[0] != base).mean() > 0.5


def test_picks_are_those_of_rng_choice():
    weights = (0.34, 0.36, 0.2, 0.1)
    ours, theirs = np.random.default_rng(4), np.random.default_rng(4)
    expected = [int(theirs.choice(4, p=weights)) for _ in range(300)]
    assert [pick(ours, weights) for _ in range(300)] == expected


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    image_id=st.integers(0, 2**40),
    size=st.sampled_from([(320, 240), (128, 96), (200, 260)]),
)
def test_any_seed_gives_a_well_formed_image(seed, image_id, size):
    width, height = size
    image, annotations = render(seed, image_id, size)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.std() > 8
    assert 1 <= len(annotations) <= 4
    for person in annotations:
        joints = joints_of(person)
        unlabelled = joints[:, 2] == 0
        assert (joints[unlabelled] == 0).all()
        assert np.isin(joints[:, 2], (0, 1, 2)).all()
        assert ((joints[:, :2] >= 0) & (joints[:, :2] <= (width - 1, height - 1))).all()
        x, y, w, h = person["bbox"]
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height


def test_counts_flags_and_areas_agree(people):
    assert len({p["id"] for p in people}) == len(people)
    for person in people:
        joints = joints_of(person)
        assert person["num_keypoints"] == (joints[:, 2] > 0).sum() >= 5
        _, _, w, h = person["bbox"]
        assert 0 < person["area"] <= w * h
        assert (person["iscrowd"], person["category_id"]) == (0, 1)


def test_seen_joints_lie_in_the_box_of_what_is_seen(people):
    for person in people:
        x, y, w, h = person["bbox"]
        seen = joints_of(person)[joints_of(person)[:, 2] == 2][:, :2] + 0.5
        assert (seen >= (x - 2, y - 2)).all()
        assert (seen <= (x + w + 2, y + h + 2)).all()


def test_most_people_are_big_enough_to_learn_from(people):
    tall = np.array([p["bbox"][3] for p in people])
    assert (tall > 60).mean() > 0.85
    assert np.mean([p["area"] > 32**2 for p in people]) > 0.75
    assert tall.max() > 3 * tall.min()


def test_all_three_visibilities_occur(people):
    flags = np.concatenate([joints_of(p)[:, 2] for p in people])
    share = [(flags == v).mean() for v in (0, 1, 2)]
    assert 0.01 < share[0] < 0.2
    assert 0.1 < share[1] < 0.45
    assert share[2] > 0.45


def test_one_to_four_people(scenes):
    assert {len(annotations) for _, annotations in scenes} == {1, 2, 3, 4}


def test_polygons_cover_the_area(people):
    for person in people:
        mask = np.zeros((240 * 4, 320 * 4), np.uint8)
        rings = [np.rint(np.array(p).reshape(-1, 2) * 4).astype(np.int32) for p in person["segmentation"]]
        cv2.fillPoly(mask, rings, 1)
        assert mask.sum() / 16 == pytest.approx(person["area"], rel=0.12, abs=12)


def test_a_hole_is_left_out_of_the_polygon():
    mask = np.zeros((80, 80), bool)
    mask[10:70, 10:70] = True
    mask[30:50, 30:50] = False
    (ring,) = polygons(mask)
    x, y = np.array(ring).reshape(-1, 2).T
    shoelace = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    assert shoelace == pytest.approx(mask.sum() / 4, abs=3)


@pytest.mark.parametrize(("heading", "left_is_right_of_right"), [(180.0, True), (0.0, False)])
def test_left_and_right_follow_the_body_and_not_the_image(heading, left_is_right_of_right):
    camera = Camera.aimed((320, 240), 250.0, 1.4, 5.0, 0.0)
    rng = np.random.Generator(np.random.Philox(4))
    for _ in range(30):
        body = pose_body(Build.sample(rng), sample_pose(rng), (0.0, 3.5), heading)
        pixels, _ = camera.project(body.keypoints)
        for joint in ("shoulder", "hip"):
            left, right = pixels[JOINT[f"left_{joint}"], 0], pixels[JOINT[f"right_{joint}"], 0]
            assert (left > right) == left_is_right_of_right


def test_limbs_keep_their_lengths_in_every_pose():
    rng = np.random.Generator(np.random.Philox(8))
    build = Build(1.7, 1.0, 1.0, 1.0)
    for _ in range(50):
        joints = pose_body(build, sample_pose(rng), (0.3, 4.0), rng.uniform(0, 360)).keypoints
        for side in ("left", "right"):
            chain = [JOINT[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
            a, b, c, d, e, f = joints[chain]
            lengths = [np.linalg.norm(p - q) for p, q in ((a, b), (b, c), (d, e), (e, f))]
            assert lengths == pytest.approx([0.176 * 1.7, 0.15 * 1.7, 0.245 * 1.7, 0.246 * 1.7])
        assert joints[:, 1].max() < 0.01


def visibilities(heading_deg, *, crate_before_them=False):
    """COCO visibility by joint of someone who stands still, arms hanging, 3.5 m away."""
    arm, leg = Limb(8, 90, 0, 10), Limb(4, 90, 0, 4)
    rng = np.random.Generator(np.random.Philox(1))
    camera = Camera.aimed((320, 240), 250.0, 1.4, 5.0, 0.0)
    body = pose_body(Build(1.7, 1.0, 1.0, 1.0), Pose((arm, arm), (leg, leg)), (0.0, 3.5), heading_deg)
    solids = Solids(owner=0)
    Dressmaker(solids, body, sample_outfit(rng)).dress()
    solids.owner = BACKGROUND
    if crate_before_them:
        Furnisher(solids, rng).add("crate", 0.0, 2.6, 0.0)
    view = raster.project(solids, camera)
    joints = label_joints(view, raster.rasterise(view, range(len(solids.owners))), camera, 0, body)
    return dict(zip(COCO.joints, joints[:, 2].tolist(), strict=True))


def test_everything_of_someone_who_faces_us_is_seen():
    assert set(visibilities(180).values()) == {2.0}


def test_a_face_turned_away_is_labelled_but_occluded():
    away = visibilities(0)
    assert [away[joint] for joint in ("nose", "left_eye", "right_eye")] == [1, 1, 1]
    assert [away[joint] for joint in ("left_knee", "right_ankle", "left_shoulder")] == [2, 2, 2]


def test_the_far_side_of_a_profile_is_occluded():
    side = visibilities(90)  # turned to the image's right: the right side is toward the camera
    assert (side["right_ear"], side["right_shoulder"], side["right_knee"]) == (2, 2, 2)
    assert (side["left_ear"], side["left_shoulder"], side["left_hip"]) == (1, 1, 1)


def test_a_thing_in_front_occludes_what_it_covers():
    behind = visibilities(180, crate_before_them=True)
    assert (behind["left_ankle"], behind["right_ankle"]) == (1, 1)
    assert (behind["nose"], behind["left_shoulder"]) == (2, 2)


def test_people_stand_apart():
    for seed in range(20):
        rng = np.random.Generator(np.random.Philox(seed))
        actors = cast_people(rng, sample_camera(rng, (320, 240)))
        for i, one in enumerate(actors):
            for other in actors[i + 1 :]:
                assert np.hypot(*(one.body.pelvis - other.body.pelvis)[[0, 2]]) > 0.2


def mean_pose_ap(scenes):
    """AP of a predictor that puts the mean pose, relative to the box, into every ground-truth box."""
    people = [p for _, annotations in scenes for p in annotations]
    boxes = np.array([p["bbox"] for p in people])
    joints = np.array([joints_of(p) for p in people])
    relative = (joints[..., :2] - boxes[:, None, :2]) / boxes[:, None, 2:]
    mean = np.average(relative, axis=0, weights=np.repeat(joints[..., 2:] > 0, 2, axis=2))
    truth = CocoApi()
    truth.dataset = {
        "info": {},
        "images": [{"id": i, "width": 320, "height": 240} for i in {p["image_id"] for p in people}],
        "annotations": people,
        "categories": [{"id": 1, "name": "person"}],
    }
    truth.createIndex()
    guesses = []
    for box, person in zip(boxes, people, strict=True):
        at = np.column_stack([box[:2] + mean * box[2:], np.ones(17)])
        guess = {"image_id": person["image_id"], "category_id": 1, "score": 1.0}
        guesses.append({**guess, "keypoints": at.ravel().tolist()})
    return score(truth, guesses), score(truth, [{**p, "score": 1.0} for p in people])


def score(truth, guesses):
    evaluation = COCOeval(truth, truth.loadRes(guesses), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


def test_the_mean_pose_scores_next_to_nothing(scenes):
    mean, perfect = mean_pose_ap(scenes)
    print(f"mean-pose AP {mean:.4f}, truth's own AP {perfect:.4f}")
    assert mean < 0.05
    assert perfect > 0.99
