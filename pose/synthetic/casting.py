"""Who stands where: the camera and the people of one image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pose.synthetic.body import Body, Build, pose_body
from pose.synthetic.camera import Camera
from pose.synthetic.draws import pick
from pose.synthetic.poses import sample as sample_pose

_COUNT_WEIGHTS = (0.34, 0.36, 0.2, 0.1)
_MIN_LABELLED = 10
_MIN_HEIGHT = 0.27
"""Least extent of a person, as a share of the image's height."""


@dataclass(frozen=True, eq=False)
class Actor:
    """One posed person, the way it faces, the box (x0, y0, x1, y1) and number of its joints in the image."""

    body: Body
    heading_deg: float
    seated: bool
    box: np.ndarray
    in_view: int


def sample_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Return a camera at eye height more or less, aimed at people some metres away."""
    focal_px = size[1] * rng.uniform(0.9, 1.35)
    height_m = float(np.clip(rng.normal(1.45, 0.35), 0.7, 2.4))
    aim = math.degrees(math.atan((height_m - 0.85) / 3.4))
    return Camera.aimed(size, focal_px, height_m, aim + rng.normal(0, 2.5), rng.normal(0, 1.5))


def cast_people(rng: np.random.Generator, camera: Camera) -> list[Actor]:
    """Return one to four people who neither stand in each other nor hide each other for the most part."""
    wanted = 1 + pick(rng, _COUNT_WEIGHTS)
    actors: list[Actor] = []
    for attempt in range(40 * wanted):
        if len(actors) == wanted or (actors and attempt >= 14 * wanted):
            break
        actor = _candidate(rng, camera, wanted)
        if actor and all(_apart(actor, other) for other in actors):
            actors.append(actor)
    return actors or [_fallback(rng, camera)]


def _candidate(rng: np.random.Generator, camera: Camera, wanted: int) -> Actor | None:
    """Someone somewhere in view: mostly whole, one time in five cut off by the image's border."""
    width, height = camera.size
    whole = rng.random() < 0.8
    tallest = 0.86 if whole else 1.25 if wanted == 1 else 1.0
    margin = 0.13 if whole else 0.04
    tall = height * math.exp(rng.uniform(math.log(0.42), math.log(tallest)))
    depth_m = max(1.6, camera.focal_px * 1.7 / tall)
    x = (rng.uniform(margin, 1 - margin) - 0.5) * width / camera.focal_px * depth_m
    actor = _place(rng, camera, x, depth_m)
    enough = actor.in_view >= (16 if whole else _MIN_LABELLED)
    return actor if enough and actor.box[3] - actor.box[1] >= _MIN_HEIGHT * height else None


def _fallback(rng: np.random.Generator, camera: Camera) -> Actor:
    """Someone in the middle, for the rare image that no draw has filled."""
    while True:
        actor = _place(rng, camera, 0.0, camera.focal_px * 1.7 / (camera.size[1] * 0.7))
        if actor.in_view >= _MIN_LABELLED:
            return actor


def _place(rng: np.random.Generator, camera: Camera, x: float, depth_m: float) -> Actor:
    pose = sample_pose(rng)
    facing = (180.0, 0.0, 90.0, -90.0)[pick(rng, (0.76, 0.1, 0.07, 0.07))]
    heading = facing + min(max(rng.normal(0, 20), -40.0), 40.0)
    body = pose_body(Build.sample(rng), pose, (x, depth_m), heading)
    pixels, depth = camera.project(body.keypoints)
    within = ((pixels >= 0.5) & (pixels <= np.array(camera.size) - 0.5)).all(axis=1) & (depth > 1.0)
    box = np.clip([pixels.min(axis=0), pixels.max(axis=0)], 0, camera.size).ravel()
    return Actor(body, heading, pose.seated, box, int(np.count_nonzero(within)))


def _apart(one: Actor, other: Actor) -> bool:
    gap = one.body.keypoints[:, None, ::2] - other.body.keypoints[None, :, ::2]
    if float(np.abs(gap).sum(-1).min()) < 0.25:
        return False
    low, high = np.maximum(one.box[:2], other.box[:2]), np.minimum(one.box[2:], other.box[2:])
    overlap = float(np.prod(np.maximum(high - low, 0)))
    smaller = min(float(np.prod(a.box[2:] - a.box[:2])) for a in (one, other))
    return overlap <= 0.15 * smaller
