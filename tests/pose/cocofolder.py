"""Writes small folders in the official COCO layout, and edits their annotation files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 120, 90
FIRST = {"train2017": 1, "val2017": 101}
COUNT = {"train2017": 8, "val2017": 3}

Record = dict[str, Any]


def person(number: int, image: int, rng: np.random.Generator, **changes: Any) -> Record:
    """Return a usable annotation with three to seventeen labelled joints inside a box inside the image."""
    w, h = rng.integers(20, 60), rng.integers(25, 70)
    x, y = rng.integers(0, WIDTH - w), rng.integers(0, HEIGHT - h)
    keypoints = np.zeros((17, 3), int)
    for joint in rng.permutation(17)[: rng.integers(3, 18)]:
        keypoints[joint] = rng.integers(x, x + w), rng.integers(y, y + h), rng.integers(1, 3)
    row = {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0,
        "bbox": [float(x), float(y), float(w), float(h)], "area": 0.6 * float(w * h),
        "segmentation": [[float(x), float(y), float(x + w), float(y), float(x + w), float(y + h)]],
        "keypoints": keypoints.reshape(-1).tolist(),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
    }  # fmt: skip
    return row | changes


def write(root: Path) -> Path:
    """Write eight training and three validation images, two people each, and a crowd; return `root`."""
    rng = np.random.default_rng(5)
    (root / "annotations").mkdir(parents=True)
    for source, first in FIRST.items():
        (root / source).mkdir()
        images, people = [], []
        for image in range(first, first + COUNT[source]):
            name = f"{image:012d}.jpg"
            coarse = rng.integers(0, 255, (9, 12, 3), np.uint8)
            pixels = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / source / name), pixels)
            images.append({"id": image, "file_name": name, "width": WIDTH, "height": HEIGHT})
            people += [person(10 * image + side, image, rng) for side in (1, 2)]
        nobody = {"keypoints": [0] * 51, "num_keypoints": 0}
        people.append(person(10 * first + 3, first, rng, iscrowd=1, **nobody))
        categories = [{"id": 1, "name": "person", "supercategory": "person"}]
        save(root, source, {"images": images, "annotations": people, "categories": categories})
    return root


def path(root: Path, source: str = "train2017") -> Path:
    """Return the annotation file of `source`."""
    return root / "annotations" / f"person_keypoints_{source}.json"


def read(root: Path, source: str = "train2017") -> Record:
    """Return the annotation file of `source` as plain values."""
    return json.loads(path(root, source).read_text())


def save(root: Path, source: str, content: Record) -> None:
    """Write the annotation file of `source`; NaN is written as the literal."""
    path(root, source).write_text(json.dumps(content))


def edit(root: Path, change: Callable[[Record], object], source: str = "train2017") -> None:
    """Apply `change` to the content of the annotation file of `source`."""
    content = read(root, source)
    change(content)
    save(root, source, content)


def edit_person(root: Path, source: str = "train2017", index: int = 0, **changes: Any) -> int:
    """Change fields of one annotation and return its id."""
    content = read(root, source)
    content["annotations"][index] |= changes
    save(root, source, content)
    return content["annotations"][index]["id"]
