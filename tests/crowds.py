"""Made-up ground truth and predictions of crowds of people, and matches in a run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.run import results
from pose import bootstrap
from pose.files import write_arrays
from pose.skeleton import COCO

CATEGORY = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": []}


def crowded(images: int, seed: int) -> dict:
    """Return ground truth of `images` images with up to four people each, crowds and empty images too."""
    rng, people = np.random.default_rng(seed), []
    for image in range(1, images + 1):
        for _ in range(rng.integers(0, 5)):
            x, y, w, h = rng.uniform(0, 300), rng.uniform(0, 200), rng.uniform(20, 200), rng.uniform(30, 250)
            seen = int(rng.integers(0, 18))
            flags = rng.permutation([2] * seen + [0] * (17 - seen))
            points = np.stack([rng.uniform(x, x + w, 17), rng.uniform(y, y + h, 17), flags], axis=1)
            people.append(
                {
                    "id": len(people) + 1, "image_id": image, "category_id": 1,
                    "iscrowd": int(rng.uniform() < 0.1), "bbox": [x, y, w, h], "area": 0.6 * w * h,
                    "num_keypoints": seen, "keypoints": points.reshape(-1).tolist(),
                }
            )  # fmt: skip
    return {
        "images": [{"id": image, "width": 600, "height": 500} for image in range(1, images + 1)],
        "annotations": people,
        "categories": [CATEGORY],
    }


def found_in(truth: dict, sigma: float, seed: int) -> list[dict]:
    """Return predictions: people off by `sigma` of their size, some missed, some twice, some of nobody."""
    rng, rows = np.random.default_rng(seed), []
    for person in truth["annotations"]:
        for _ in range(rng.choice(3, p=[0.15, 0.7, 0.15])):
            points = np.array(person["keypoints"]).reshape(17, 3)
            points[:, :2] += rng.normal(0, sigma * np.sqrt(person["area"]), (17, 2))
            points[:, :2] += 900 * (rng.uniform() < 0.1)
            # Few digits: scores are shared between images, though not within one.
            score = round(float(rng.uniform(0.1, 1)), 1) + person["id"] % 5 / 100 + len(rows) % 2 / 1000
            rows.append(
                {
                    "image_id": person["image_id"],
                    "category_id": 1,
                    "keypoints": points.reshape(-1).tolist(),
                    "score": score,
                }
            )
    return rows


def keep(run: Path, cell_id: str, predictions: list[dict], truth: dict) -> None:
    """Write beside an accuracy cell which of its predictions are right."""
    write_arrays(results.samples_path(run, cell_id, 1), bootstrap.match(predictions, truth).to_arrays())
