"""A small run folder, made without any framework."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from benching import TESTS, call_here

from bench.machine import fingerprint, procfs
from bench.process import launch
from pose import inference, recipe, splits
from pose.skeleton import COCO

KEYPOINTS = 17


def person(number: int, image: int, rng: np.random.Generator) -> dict[str, object]:
    """Return a person of a fixed size whose joints are anywhere in the box."""
    x, y, w, h = 20 + 90 * (number % 2), 30, 80, 140
    points = np.stack([rng.uniform(x, x + w, KEYPOINTS), rng.uniform(y, y + h, KEYPOINTS)], axis=1).round(1)
    keypoints = [v for px, py in points.tolist() for v in (px, py, 2)]
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [x, y, w, h],
        "area": w * h * 0.6, "num_keypoints": KEYPOINTS, "keypoints": keypoints,
        "segmentation": [[x, y, x + w, y, x + w, y + h]],
    }  # fmt: skip


def write_coco(root: Path) -> None:
    """Write three images with two people each as both train2017 and val2017, in the official layout."""
    rng = np.random.default_rng(0)
    for part, first in (("train2017", 1), ("val2017", 101)):
        (root / part).mkdir(parents=True)
        images, people = [], []
        for image in range(first, first + 3):
            name = f"{image:012d}.jpg"
            cv2.imwrite(str(root / part / name), rng.integers(0, 255, (200, 220, 3), np.uint8))
            images.append({"id": image, "file_name": name, "width": 220, "height": 200})
            people += [person(2 * image + side, image, rng) for side in (0, 1)]
        category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": []}
        truth = {
            "info": {},
            "licenses": [],
            "images": images,
            "annotations": people,
            "categories": [category],
        }
        path = root / "annotations" / f"person_keypoints_{part}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(truth))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Return a run folder whose torch artifact is what fake_runners.Oracle reads."""
    coco, folder = tmp_path / "coco", tmp_path / "run"
    write_coco(coco)
    model = {"backbone": "resnet18", "input_size": [64, 96], "deconv_channels": 16, "sigma_px": 1}
    raw = {"name": "tiny", "model": model, "training": {"epochs": 1, "batch_size": 2}}
    chosen = recipe.from_dict({**raw, "evaluation": {"flip_test": False}})
    folder.mkdir()
    (folder / "recipe.yaml").write_text(chosen.to_yaml())
    facts = {"schema": 1, "coco": str(coco), "boxes": "ground truth", "stages": {}}
    facts |= {"device": "cpu", "threads": 2, "workers": 0}
    (folder / "run.json").write_text(json.dumps(facts))
    manifest = splits.make(chosen.split, coco)
    splits.save(manifest, folder / "split.json")
    inputs = inference.Inputs(chosen, coco, manifest, "val")
    artifact = folder / "train" / "torch" / "best.safetensors"
    artifact.parent.mkdir(parents=True)
    with open(artifact, "wb") as handle:
        np.savez(handle, images=inputs.batch(0, len(inputs)), heatmaps=inputs.targets(0, len(inputs))[0])
    return folder


IN_CHILDREN = launch.call


@pytest.fixture
def in_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure rounds in fresh processes after all, in a file whose other tests need none."""
    monkeypatch.setattr(launch, "call", IN_CHILDREN)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure rounds in this process: a hundredth of the time, where no test asks what a process does."""
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setattr(launch, "call", call_here)


class FakeSystem:
    """A folder that stands for / in bench.machine.fingerprint: two cores, quiet, with nothing else told."""

    def __init__(self, root: Path):
        self.root = root
        for cpu in range(2):
            self.write(f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", f"{cpu}\n")

    def write(self, path: str, text: str) -> None:
        """Write a file of /proc or /sys, given without the first slash."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)


@pytest.fixture
def fake_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """Return a described machine, which bench.machine.fingerprint reads instead of this one."""
    monkeypatch.setattr(procfs, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(fingerprint, "affinity", lambda: {0, 1})
    return FakeSystem(tmp_path / "system")
