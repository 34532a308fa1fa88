"""The arrows between the packages: that they hold, and that a wrong one would be noticed."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    # A process of its own: the linter analyses what the working directory offers first.
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True)


def test_the_packages_keep_their_arrows():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def rooms() -> list[str]:
    """Return every room that a contract of layers gives a floor, as a module's name."""
    return [
        f"{container}.{room}"
        for contract in CONFIG["contracts"]
        for container in contract.get("containers", ())
        for floor in contract["layers"]
        for room in floor.split(" | ")
    ]


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """Return a folder with every package and room, the modules that contracts name, and the contracts."""
    for package in [*CONFIG["root_packages"], *rooms(), "bench.parity.rungs"]:
        folder = tmp_path.joinpath(*package.split("."))
        folder.mkdir()
        (folder / "__init__.py").touch()
    (tmp_path / "bench" / "parity" / "rungs" / "data.py").write_text("from pose import published\n")
    (tmp_path / "pose" / "published.py").write_text("import cv2\n")
    (tmp_path / "pose" / "skeleton.py").touch()
    (tmp_path / "bench" / "process" / "launch.py").touch()
    (tmp_path / "reports" / "build" / "__init__.py").write_text(
        "from bench import cells, contract, run, statistics, verdicts\n"
    )
    (tmp_path / "torch_impl" / "runner.py").write_text(
        "from bench.contract import RunnerSpec\nimport torch\n"
    )
    (tmp_path / "twinpose" / "run.py").write_text("from bench import stages\nfrom reports import build\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_allowed_arrows_are_allowed(stubs: Path):
    result = lint(stubs)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("pose/coco.py", "from bench import run"),
        ("pose/coco.py", "import torch"),
        ("pose/sample.py", "from pose import published"),
        ("pose/published.py", "from pose import skeleton"),
        ("bench/parity/ladder.py", "import pose.published"),
        ("torch_impl/data.py", "from pose.published import flip_back"),
        ("tf_impl/model.py", "import torch_impl"),
        ("tf_impl/model.py", "import torch"),
        ("tf_impl/runner.py", "import bench.process.launch"),
        ("torch_impl/model.py", "import keras"),
        ("torch_impl/model.py", "import openvino"),
        ("onnx_impl/runner.py", "import torchvision"),
        ("openvino_impl/convert.py", "import tensorflow"),
        ("openvino_impl/convert.py", "import onnxruntime"),
        ("bench/contract/__init__.py", "from bench import machine"),
        ("bench/doctor/doctor.py", "import openvino"),
        ("bench/parity/ladder.py", "from torch_impl import runner"),
        ("bench/run/results.py", "from reports import build"),
        ("bench/run/results.py", "from bench import verdicts"),
        ("bench/cells/matrix.py", "from bench import process"),
        ("bench/utilities.py", "import json"),
        ("reports/run/read.py", "from reports import tables"),
        ("reports/plots/cells.py", "from reports import tables"),
        ("bench/rounds/lanes.py", "from reports import build"),
        ("bench/rounds/lanes.py", "from twinpose import cli"),
        ("reports/page/html.py", "from twinpose import cli"),
        ("torch_impl/model.py", "from twinpose import cli"),
        ("twinpose/data.py", "from torch_impl import data"),
        ("twinpose/data.py", "import tensorflow"),
        ("reports/page/html.py", "from bench.process import launch"),
        ("reports/page/html.py", "import torch_impl"),
    ],
)
def test_a_forbidden_import_is_noticed(stubs: Path, module: str, line: str):
    with open(stubs / module, "a", encoding="utf-8") as file:
        file.write(f"def late():\n    {line}\n")
    result = lint(stubs)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout


ENTRY = re.compile(r"(?:\w+_impl|bench|reports)(?:\.\w+)+:\w+")


def names_in_strings() -> set[str]:
    """Return every "package.module:name" that a string of the product, or of its tests, spells out."""
    folders = [ROOT / package for package in (*CONFIG["root_packages"], "tests")]
    trees = [ast.parse(path.read_text()) for folder in folders for path in folder.rglob("*.py")]
    texts = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if ENTRY.fullmatch(text)}


@pytest.mark.parametrize("entry", sorted(names_in_strings()))
def test_a_name_that_is_resolved_in_a_child_exists(entry: str):
    module, _, name = entry.partition(":")
    place = ROOT.joinpath(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    assert path.is_file(), f"{entry} is named, but there is no {module}"
    body = ast.parse(path.read_text()).body
    defined = {x.name for x in body if isinstance(x, ast.ClassDef | ast.FunctionDef)}
    assert name in defined | {y.name for x in body if isinstance(x, ast.ImportFrom) for y in x.names}


def test_the_worker_is_where_the_launcher_starts_it():
    launcher = (ROOT / "bench" / "process" / "launch.py").read_text()
    assert '"bench.process.worker"' in launcher
    assert (ROOT / "bench" / "process" / "worker.py").is_file()
