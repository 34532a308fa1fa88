"""One rendered image and its annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pose.synthetic import labels, raster, shadows
from pose.synthetic.backdrop import ScenePlace, paint
from pose.synthetic.camera import Camera
from pose.synthetic.casting import Actor, cast_people, sample_camera
from pose.synthetic.draws import pick
from pose.synthetic.figure import Dressmaker
from pose.synthetic.places import sample_place
from pose.synthetic.raster import Buffers, Projected
from pose.synthetic.shade import shade
from pose.synthetic.solids import BACKGROUND, Solids
from pose.synthetic.textures import fine_noise
from pose.synthetic.things import SIZES, Furnisher
from pose.synthetic.wardrobe import sample_outfit

ANNOTATIONS_PER_IMAGE = 10
"""Annotation ids are image id x 10 + 0 to 3, so an id never depends on other images."""

_MIN_SEEN_JOINTS = 6
_MAX_SHARE_HIDDEN = 0.4
"""An occluder that hides more of anyone is left out."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything in one image before it is drawn; `occluders` are the solids of each thing in front."""

    camera: Camera
    place: ScenePlace
    actors: list[Actor]
    solids: Solids
    occluders: list[range]


def render(
    seed: int, image_id: int, size: tuple[int, int] = (320, 240)
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return one image (H, W, 3) uint8 RGB and its COCO annotations, one to four people.

    A pure function: the generator is counter-based (Philox), keyed by `seed` and `image_id`, so
    the bytes depend neither on the order nor on the process. size: width and height, pixels.
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([seed, image_id], np.uint64)))
    camera = sample_camera(rng, size)
    actors = cast_people(rng, camera)
    while True:
        scene = _build(rng, camera, actors)
        view = raster.project(scene.solids, camera)
        buffers = _draw(view, scene)
        people = [labels.label_joints(view, buffers, camera, i, actor.body) for i, actor in enumerate(actors)]
        shown = [
            a
            for a, joints in zip(actors, people, strict=True)
            if (joints[:, 2] == 2).sum() >= _MIN_SEEN_JOINTS
        ]
        if len(shown) == len(actors) or not shown or len(actors) == 1:
            break
        actors = shown
    annotations = [
        labels.annotate(
            cv2.inRange(buffers.ids, *_span(scene.solids, i)),
            joints,
            image_id * ANNOTATIONS_PER_IMAGE + i,
            image_id,
        )
        for i, joints in enumerate(people)
    ]
    return _expose(rng, _compose(scene, view, buffers, rng)), annotations


def _build(rng: np.random.Generator, camera: Camera, actors: list[Actor]) -> Scene:
    """Dress the people, then furnish the place around them."""
    solids = Solids()
    for i, actor in enumerate(actors):
        solids.owner = i
        Dressmaker(solids, actor.body, sample_outfit(rng)).dress()
    solids.owner = BACKGROUND
    furnisher = Furnisher(solids, rng)
    for actor in actors:
        height = -float(actor.body.pelvis[1]) - 0.066 * actor.body.build.stature_m
        if actor.seated and height > 0.15:
            furnisher.seat(actor.body.pelvis, actor.heading_deg, height, backrest=bool(rng.random() < 0.6))
    points = np.concatenate([a.body.keypoints for a in actors])
    place = sample_place(rng, float(points[:, 2].max()) + 0.6, float(np.abs(points[:, 0]).max()) + 0.5)
    _furnish(rng, furnisher, place, camera, points)
    occluders = []
    for _ in range(pick(rng, (0.66, 0.26, 0.08))):
        start = len(solids.owners)
        _stand_before(rng, furnisher, place, actors)
        if len(solids.owners) > start:
            occluders.append(range(start, len(solids.owners)))
    return Scene(camera, place, actors, solids, occluders)


def _furnish(
    rng: np.random.Generator, furnisher: Furnisher, place: ScenePlace, camera: Camera, points: np.ndarray
) -> None:
    """Put up to four things beside and behind the people, clear of them."""
    taken: list[tuple[float, float, float]] = []
    for _ in range(int(rng.integers(1, 5))):
        kind = place.things[int(rng.integers(len(place.things)))]
        z = rng.uniform(3.0, float(points[:, 2].max()) + 1.4)
        x = rng.uniform(-0.6, 0.6) * camera.size[0] / camera.focal_px * z
        free = np.hypot(points[:, 0] - x, points[:, 2] - z).min() > SIZES[kind] + 0.2
        if (
            free
            and z - SIZES[kind] > 1.2
            and all(np.hypot(x - a, z - b) > SIZES[kind] + r for a, b, r in taken)
        ):
            furnisher.add(kind, x, z, float(rng.uniform(0, 360) if kind != "car" else rng.normal(0, 15)))
            taken.append((x, z, SIZES[kind]))


def _stand_before(
    rng: np.random.Generator, furnisher: Furnisher, place: ScenePlace, actors: list[Actor]
) -> None:
    """Put a thing between the camera and one of the people, if there is room."""
    kind = place.things[int(rng.integers(len(place.things)))]
    at = actors[int(rng.integers(len(actors)))].body.keypoints
    z = float(at[:, 2].min()) - SIZES[kind] - rng.uniform(0.1, 0.5)
    if z - SIZES[kind] < 1.0:
        return
    x = float(at[:, 0].mean()) * z / float(at[:, 2].mean()) + rng.normal(0, 0.45)
    points = np.concatenate([a.body.keypoints for a in actors])
    if np.hypot(points[:, 0] - x, points[:, 2] - z).min() > SIZES[kind]:
        furnisher.add(kind, x, z, float(rng.normal(180, 30)))


def _draw(view: Projected, scene: Scene) -> Buffers:
    """Rasterise the people and the place, then each occluder that leaves everyone recognisable."""
    first = scene.occluders[0].start if scene.occluders else len(view.windows)
    buffers = raster.rasterise(view, range(first))
    whole = _count(scene, buffers.ids) if scene.occluders else np.zeros(0)
    lost = np.zeros_like(whole)
    for occluder in scene.occluders:
        tried = raster.rasterise(view, occluder, buffers)
        more = lost + _count(scene, buffers.ids[tried.ids != buffers.ids])
        if (more <= _MAX_SHARE_HIDDEN * whole).all():
            buffers, lost = tried, more
    return buffers


def _span(solids: Solids, person: int) -> tuple[int, int]:
    """First and last solid of a person: people are dressed one after another."""
    first = solids.owners.index(person)
    return first, first + solids.owners.count(person) - 1


def _count(scene: Scene, ids: np.ndarray) -> np.ndarray:
    """(people,) how many of the pixels `ids` show each person."""
    spans = (_span(scene.solids, i) for i in range(len(scene.actors)))
    return np.array([np.count_nonzero((ids >= first) & (ids <= last)) for first, last in spans])


def _compose(scene: Scene, view: Projected, buffers: Buffers, rng: np.random.Generator) -> np.ndarray:
    """Planes (3, H, W) float32 linear RGB: the shaded solids, averaged down, over the shadowed background."""
    place, camera = scene.place, scene.camera
    background, floor = paint(place, camera, rng)
    shadow = shadows.cast(scene.solids, camera, place.light.toward, 4 * place.shadow_softness) * floor
    key, sky = float(place.light.key.mean()) * -float(place.light.toward[1]), float(place.light.sky.mean())
    dark = np.float32(min(0.8, (key + 0.15 * sky) / (key + sky)))
    front = shade(view, buffers, place.light, camera.rotation)
    # Quarters, counted in whole numbers: a mean of four bytes that are 0 or 4.
    quarters = cv2.resize((buffers.ids >= 0).view(np.uint8) * 4, camera.size, interpolation=cv2.INTER_AREA)
    background *= (1 - quarters * np.float32(0.25)) * (1 - dark * shadow)
    front += background
    return front


def _expose(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB of planes (3, H, W): exposure, lens falloff, tone curve and sensor noise."""
    height, width = linear.shape[1:]
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    falloff = 1 - np.float32(rng.uniform(0, 0.16)) * (x * x + (y * y)[:, None])
    # The mean of interleaved channels: float32 sums depend on their order.
    mean = float(cv2.merge(list(linear)).mean())
    wanted = float(np.clip(0.27 / (mean + 1e-3), 0.75, 1.35)) * rng.uniform(0.8, 1.25)
    image = linear * (falloff * np.float32(wanted))
    np.clip(image, 0, 1, out=image)
    np.sqrt(image, out=image)
    shift = rng.integers(0, 256, 2)
    rows, columns = (np.arange(height) * 3 + shift[0]) % 256, (np.arange(width) * 5 + shift[1]) % 256
    image += np.float32(rng.uniform(0.004, 0.022)) * fine_noise().take(rows, axis=0).take(columns, axis=1)
    return np.asarray(cv2.merge([cv2.convertScaleAbs(plane, alpha=255) for plane in image]), np.uint8)
