"""What every test shares: the environment, hypothesis and the folder of real data."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest
from commands import Say, twinpose

from pose import weights
from pose.architecture import Architecture

ROOT = Path(__file__).resolve().parent.parent

# Set before any test module imports a framework. Exporting one of them overrides it,
# so CUDA_VISIBLE_DEVICES=0 runs the tests that want a GPU.
# A test's bfloat16 has to round alike on every machine: on some virtual ones oneDNN's AMX kernels round
# twenty times as coarsely on the tiny network, or give NaN. (A bench shows that, as rung 7's failure.)
for name, value in {
    "CUDA_VISIBLE_DEVICES": "",
    "KERAS_BACKEND": "tensorflow",
    "MPLBACKEND": "Agg",
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}.items():
    os.environ.setdefault(name, value)

# Two frameworks in one process may corrupt each other's memory: TensorFlow with torch did, and so did
# ONNX Runtime, OpenVINO and torch together. The product keeps them apart, and so does pytest: an
# implementation's tests run when its folder is named.
IMPLEMENTATIONS = ("tf_impl", "torch_impl", "onnx_impl", "openvino_impl")


def left_out(config: pytest.Config) -> list[str]:
    """Return the implementations whose tests were not named."""
    return [name for name in IMPLEMENTATIONS if not any(name in given for given in config.args)]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs a process of its own."""
    beside = collection_path.parent == Path(__file__).parent
    return True if beside and collection_path.name in left_out(config) else None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what a bare `pytest` leaves to processes of their own."""
    left = ", ".join(f"pytest tests/{name}" for name in left_out(config))
    return f"not in this process: {left}" if left else None


LONGEST_FIRST = (
    *("test_trajectory", "test_run", "test_mutations", "test_resume", "test_run_on_coco"),
    *("test_mlperf", "test_mlperf_failures", "test_weights_files"),
    *("test_plots", "test_measure", "test_build"),
)
"""Files of minutes, then of tens of seconds. Workers share out whole files (xdist's loadfile), and all wait
for the one that is begun last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of minutes first; the others keep their order."""
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose frameworks are not all installed; unlike importorskip, import none of them here."""
    needed = [name for mark in item.iter_markers("frameworks") for name in mark.args]
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")


# A shared machine may stall for seconds: a deadline would report that as a bug.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


Draw = Callable[[Architecture, int], weights.Weights]


@pytest.fixture(scope="session", autouse=True)
def _drawn_once() -> Iterator[None]:
    """Draw a network's weights once a process: a pure function of it that takes a second each time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("initial", "generic"):
            patch.setattr(weights, name, _remembering(getattr(weights, name)))
        yield


def _remembering(draw: Draw) -> Draw:
    once = functools.lru_cache(maxsize=4)(draw)

    @functools.wraps(draw)
    def drawn(architecture: Architecture, seed: int) -> weights.Weights:
        return {name: value.copy() for name, value in once(architecture, seed).items()}

    return drawn


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


@pytest.fixture
def say() -> Say:
    """Run the command in this process."""
    return twinpose
