"""What every test shares: the environment, hypothesis and the folder of real data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# Set before any test module imports a framework. Exporting one of them overrides it,
# so CUDA_VISIBLE_DEVICES=0 runs the tests that want a GPU.
for name, value in {
    "CUDA_VISIBLE_DEVICES": "",
    "KERAS_BACKEND": "tensorflow",
    "MPLBACKEND": "Agg",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}.items():
    os.environ.setdefault(name, value)

# TensorFlow and torch crash each other in one process (each brings its own LLVM and OpenMP). The
# product never loads both, and neither does pytest: the Keras twin's tests run when they are named.
KERAS_TESTS = "tests/tf_impl"
collect_ignore = [] if any("tf_impl" in argument for argument in sys.argv[1:]) else ["tf_impl"]


def pytest_report_header() -> str | None:
    """Say what a bare `pytest` leaves to a process of its own."""
    return f"{KERAS_TESTS} has a process of its own: pytest {KERAS_TESTS}" if collect_ignore else None


# A shared machine may stall for seconds: a deadline would report that as a bug.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data (TWINPOSE_DATA, or ../shared/data); skip where it is absent."""
    folder = Path(os.environ.get("TWINPOSE_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data: TWINPOSE_DATA names no folder, and ../shared/data is absent")
    return folder


@pytest.fixture(scope="session")
def coco_mini(shared_data: Path) -> Path:
    """Return a folder with a few real COCO images in the official layout; skip where it is absent."""
    folder = shared_data / "coco-mini"
    if not folder.is_dir():
        pytest.skip("no coco-mini folder in the folder of real data")
    return folder
