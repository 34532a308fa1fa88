"""A small data set, and a prepared run of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import twins

from bench.run import folder as folder_
from bench.run.folder import RunFolder, Settings
from bench.stages import preparing
from pose import synthetic


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "coco"
    synthetic.make(folder, train_images=4, val_images=2, seed=5, processes=1)
    return folder


@pytest.fixture(scope="module")
def prepared(coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "run"
    return preparing.prepare(path, twins.tiny(), Settings(coco, None, "cpu", 2, 0)).path


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> RunFolder:
    return folder_.opened(shutil.copytree(prepared, tmp_path / "a run"))
