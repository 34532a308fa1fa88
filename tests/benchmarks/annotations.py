"""Writes an annotation file as large as the real person_keypoints_train2017.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

IMAGES = 118_287
PEOPLE = 262_465
USED = 149_813
CROWDS = 3_200
POLYGON_POINTS = 32
"""Of a person on average, which makes the file as large as the real one: about 240 MB."""

WIDTH, HEIGHT = 640, 480


def write(path: Path, *, images: int = IMAGES, people: int = PEOPLE, used: int = USED) -> None:
    """Write the file record by record. `used` annotations have joints; the others and the crowds none."""
    rng = np.random.default_rng(0)
    with path.open("w") as out:
        out.write('{"info": {"description": "benchmark"}, "licenses": [], "images": [')
        for number in range(images):
            out.write((", " if number else "") + json.dumps(_image(number + 1)))
        out.write('], "annotations": [')
        for number in range(people):
            record = _person(number, images, rng, labelled=number < used)
            out.write((", " if number else "") + json.dumps(record))
        out.write('], "categories": [{"id": 1, "name": "person", "supercategory": "person"}]}')


def _image(number: int) -> dict[str, object]:
    name = f"{number:012d}.jpg"
    return {
        "license": 3, "file_name": name, "coco_url": f"images/train2017/{name}", "height": HEIGHT,
        "width": WIDTH, "date_captured": "2013-11-14 11:18:45", "flickr_url": f"photos/{number:x}_z.jpg",
        "id": number,
    }  # fmt: skip


def _person(number: int, images: int, rng: np.random.Generator, *, labelled: bool) -> dict[str, object]:
    x, y, w, h = np.round(rng.uniform([0, 0, 40, 60], [300, 200, 300, 270]), 2).tolist()
    joints = np.zeros((17, 3), int)
    if labelled:
        joints[:, :2] = rng.uniform([x, y], [x + w, y + h], (17, 2))
        joints[:, 2] = rng.integers(0, 3, 17)
        joints[joints[:, 2] == 0] = 0
        joints[0] = int(x), int(y), 2
    polygon = np.round(rng.uniform([x, y], [x + w, y + h], (POLYGON_POINTS, 2)), 2)
    return {
        "segmentation": [polygon.reshape(-1).tolist()],
        "num_keypoints": int((joints[:, 2] > 0).sum()), "area": round(w * h * 0.6, 4),
        "iscrowd": int(not labelled and number % 35 == 0), "keypoints": joints.reshape(-1).tolist(),
        "image_id": number % images + 1, "bbox": [x, y, w, h], "category_id": 1, "id": 1_000_000 + number,
    }  # fmt: skip
