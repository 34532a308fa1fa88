"""Small COCO folders to test on: one drawn here, one rendered, one of real images."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Tests run with --import-mode=importlib, which puts no folder of tests on the path.
sys.path.append(str(Path(__file__).parent))

import cocofolder

from pose import recipe, synthetic
from pose.recipe import Recipe


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a COCO folder of noise images with scattered people, crowds among them; do not change it."""
    return cocofolder.write(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a COCO folder as `drawn`, to be changed by one test."""
    return cocofolder.write(tmp_path / "coco")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small built-in dataset; do not change it."""
    folder = tmp_path_factory.mktemp("rendered")
    synthetic.make(folder, train_images=6, val_images=3, seed=3, processes=1)
    return folder


@pytest.fixture(scope="session")
def small() -> Recipe:
    """Return a recipe of a small input, every augmentation on."""
    return recipe.from_dict(
        {
            "name": "small",
            "split": {"method": "fractions", "fractions": [0.5, 0.25, 0.25]},
            "model": {"backbone": "resnet18", "input_size": [96, 128], "deconv_channels": 8, "sigma_px": 1},
            "training": {
                "epochs": 3,
                "batch_size": 4,
                "augmentation": {
                    "colour_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
                    "occlusion": {"p": 0.5},
                },
            },
        }
    )
