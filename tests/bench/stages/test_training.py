"""What a training's process is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cells.cell import TWINS
from bench.process import environment, launch
from bench.run import folder as folder_
from bench.stages import training


@pytest.mark.parametrize("twin", TWINS)
def test_a_training_has_its_kernels_chosen_whatever_the_user_exports(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, twin: str
) -> None:
    given: dict[str, Any] = {}

    def call(entry: str, payload: Any, folder: Path, **how: Any) -> launch.Outcome:
        given.update(how["env"], entry=entry)
        return launch.Outcome("ok", None, {"best_epoch": 1}, 0.0)

    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr(launch, "call", call)
    assert training.train(folder_.opened(run_folder), twin) == {"best_epoch": 1}
    assert given["entry"] == f"{twin}_impl.train:train"
    assert environment.ONEDNN.items() | environment.BRIEF.items() <= given.items()
