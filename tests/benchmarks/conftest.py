"""What the benchmarks share: their helper's folder on the path, and rendered people."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest

from pose import coco, recipe, synthetic
from pose.recipe import Recipe

# Tests run with --import-mode=importlib, which puts no folder of tests on the path.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> coco.Dataset:
    """Return the usable people of 200 rendered images."""
    folder = tmp_path_factory.mktemp("rendered")
    synthetic.make(folder, train_images=200, val_images=1, seed=0)
    return coco.load(folder, "train2017")


@pytest.fixture(scope="session")
def reference() -> Recipe:
    """Return the reference recipe, batch 32."""
    return recipe.load("coco_resnet50_256x192", ["training.batch_size=32"])


@pytest.fixture
def one_thread() -> object:
    """Keep OpenCV to one thread, as the loaders' workers do."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)
