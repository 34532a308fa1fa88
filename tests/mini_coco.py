"""Builds COCO folders of a few small pictures with one person each, to be made odd in one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 160, 120
Change = Callable[[dict[str, Any], str], object]


def build(
    root: Path, *, train: int = 6, val: int = 3, change: Change | None = None
) -> dict[str, dict[str, Any]]:
    """Write a COCO folder; return its documents by source. `change(document, source)` edits one."""
    documents, number = {}, 0
    for source, count in (("train2017", train), ("val2017", val)):
        if not count:
            continue
        document: dict[str, Any] = {
            "images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}],
        }  # fmt: skip
        for _ in range(count):
            number += 1
            image, person = _record(number)
            picture(root / source / image["file_name"], number)
            document["images"].append(image)
            document["annotations"].append(person)
        if change:
            change(document, source)
        path(root, source).parent.mkdir(exist_ok=True)
        path(root, source).write_text(json.dumps(document))
        documents[source] = document
    return documents


def _record(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(number)
    x, y = rng.uniform(20, 96, 17).round(1), rng.uniform(18, 94, 17).round(1)
    image = {"id": number, "file_name": f"{number:012d}.jpg", "width": WIDTH, "height": HEIGHT}
    person = {
        "id": number, "image_id": number, "category_id": 1, "bbox": [10, 8, 96, 96], "area": 5530.0,
        "iscrowd": 0, "num_keypoints": 17, "keypoints": np.stack([x, y, np.full(17, 2)], 1).ravel().tolist(),
    }  # fmt: skip
    return image, person


def picture(path: Path, number: int) -> None:
    """Write a picture that differs by its number."""
    coarse = np.random.default_rng(number).integers(0, 255, (15, 20, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(coarse, (WIDTH, HEIGHT)))


def path(root: Path, source: str) -> Path:
    """Return the annotation file of `source`."""
    return root / "annotations" / f"person_keypoints_{source}.json"


def every_person(**fields: Any) -> Change:
    """Return a change that gives every person these fields."""
    return lambda document, source: [person.update(fields) for person in document["annotations"]]


def perfect(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return predictions that are the ground truth."""
    return [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"][:51], "score": 0.9}
        for a in document["annotations"]
        if a["category_id"] == 1 and not a.get("iscrowd")
    ]
