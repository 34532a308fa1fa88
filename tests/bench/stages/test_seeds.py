"""A run with several seeds: a training of today for each, taken up where it was killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.process import launch
from bench.run import folder as folder_
from bench.run import trainings
from bench.run.folder import RunFolder
from bench.stages import order, preparing
from pose import architecture, splits, weights
from pose.errors import UserError
from pose.files import write_json, write_text
from reports.run.read import read
from twinpose.run import train_twins

ROOT = Path(__file__).resolve().parents[3]
TRAINED = [f"train {twin}{seed}" for seed in ("", " seed 1", " seed 2") for twin in ("tf", "torch")]


@pytest.fixture
def run(run_folder: Path) -> RunFolder:
    """Return a run of three seeds without any training, its data set inside."""
    shutil.rmtree(run_folder / "train")
    (run_folder.parent / "coco").rename(run_folder / "data")
    write_json(run_folder / "run.json", folder_.run_facts(run_folder) | {"coco": "data"})
    made = folder_.opened(run_folder)
    preparing.ask_for_seeds(made, 3)
    return made


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Let a training be over at once; return what is trained: (entry, seed)."""
    called: list[tuple[str, int]] = []

    def call(entry: str, payload: dict[str, Any], folder: Path, **how: Any) -> launch.Outcome:
        seed = payload["recipe"]["training"]["seed"]
        called.append((entry, seed))
        line = {"epoch": 1, "lr": 1e-3, "train_loss": 0.1, "val_loss": 0.1, "ap": 0.3 + 0.01 * seed}
        write_text(Path(payload["out"]) / "epochs.jsonl", json.dumps(line) + "\n")
        summary = {"best_epoch": 1, "best_ap": line["ap"]}
        write_json(Path(payload["out"]) / "summary.json", summary)
        return launch.Outcome("ok", None, summary, 0.0)

    monkeypatch.setattr(launch, "call", call)
    return called


def train_all(run: RunFolder) -> list[str]:
    """Do the training stages of a run that are not done; return their names."""
    due = [one for one in order.sequence(run) if one.name.startswith("train ") and not one.holds()]
    for stage in due:
        with run.stage(stage.name, stage.command):
            stage.action()
    return [stage.name for stage in due]


def test_each_twin_is_trained_once_a_seed_before_anything_else(run: RunFolder, trained: list[Any]) -> None:
    names = [stage.name for stage in order.sequence(run)]
    assert names[: len(TRAINED)] == TRAINED
    assert names[len(TRAINED)] == "test"
    assert train_all(run) == TRAINED
    assert trained == [(f"{twin}_impl.train:train", seed) for seed in (0, 1, 2) for twin in ("tf", "torch")]
    assert train_all(run) == []


def test_a_run_that_was_asked_for_no_seeds_has_one(run: RunFolder) -> None:
    facts = {name: value for name, value in run.facts().items() if name != "seeds"}
    write_json(run.path / "run.json", facts)
    assert trainings.seeds_wanted(run) == [0]
    assert [stage.name for stage in order.sequence(run)][:3] == ["train tf", "train torch", "test"]


def test_seeds_count_on_from_the_recipes(run: RunFolder) -> None:
    later = trainings.of_seed(run, 7)
    assert trainings.seeds_wanted(later.__class__(run.path, later.recipe, run.settings)) == [7, 8, 9]
    assert trainings.of_seed(run, 0) is run


def test_a_seeds_folder_is_a_run_folder_that_every_reader_of_a_training_reads(
    run: RunFolder, trained: list[Any]
) -> None:
    train_all(run)
    found = trainings.begun(run.path)
    assert [*found] == [1, 2]
    made = folder_.opened(found[2])
    assert made.recipe == trainings.of_seed(run, 2).recipe
    assert made.recipe.training.seed == 2
    assert made.recipe.model_dump(exclude={"training"}) == run.recipe.model_dump(exclude={"training"})
    assert splits.read(made.split_file) == splits.read(run.split_file)
    assert "seeds" not in made.facts()
    assert {*made.facts()["stages"]} == {"train tf", "train torch"}
    assert made.facts()["command"] == f"twinpose train {made.path}"
    told = read(made.path)
    assert {twin: left.epochs[0].ap for twin, left in told.training.items()} == {"tf": 0.32, "torch": 0.32}
    again = train_twins(made, ["torch"])
    assert (again["torch"]["best_ap"], trained[-1]) == (0.32, ("torch_impl.train:train", 2))


def test_both_twins_of_a_seed_start_from_the_seeds_own_weights(run: RunFolder, trained: list[Any]) -> None:
    train_all(run)
    described = architecture.build(run.recipe.model)
    for seed, path in trainings.begun(run.path).items():
        held = weights.read(folder_.opened(path).initial_weights)
        assert weights.fingerprint(held) == weights.fingerprint(weights.initial(described, seed))


def test_a_run_that_is_moved_takes_its_seeds_and_their_data_along(
    run: RunFolder, trained: list[Any], tmp_path: Path
) -> None:
    train_all(run)
    moved = run.path.rename(tmp_path / "elsewhere")
    assert folder_.opened(trainings.begun(moved)[1]).settings.coco.resolve() == moved / "data"


def test_a_run_that_was_killed_goes_on_with_the_training_that_it_was_in(
    run: RunFolder, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = launch.call

    def killed(entry: str, payload: dict[str, Any], folder: Path, **how: Any) -> launch.Outcome:
        if (entry, payload["recipe"]["training"]["seed"]) == ("torch_impl.train:train", 1):
            raise KeyboardInterrupt
        return ends(entry, payload, folder, **how)

    monkeypatch.setattr(launch, "call", killed)
    with pytest.raises(KeyboardInterrupt):
        train_all(run)
    monkeypatch.setattr(launch, "call", ends)
    assert train_all(folder_.opened(run.path)) == TRAINED[3:]
    assert len(trained) == len(TRAINED), "what was trained is not trained again"


KILLED = """
import os, sys
from pathlib import Path
import pose.files
from bench.run import folder, trainings
from bench.stages import preparing
run, left, replace = folder.opened(Path(sys.argv[1])), int(sys.argv[2]), os.replace
def dying(source, target):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    replace(source, target)
pose.files.os.replace = dying
with folder.locked(trainings.of_seed(run, 1).path, create=True):
    preparing.prepare_seed(run, 1)
"""


@pytest.mark.parametrize("files", [0, 1, 3])
def test_a_seeds_folder_whose_making_was_killed_is_made_whole(
    run: RunFolder, trained: list[Any], files: int
) -> None:
    """The process dies before the renaming of a file: of the first, of the last (run.json), or between."""
    place = trainings.of_seed(run, 1).path
    command = [sys.executable, "-c", KILLED, str(run.path), str(files)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, trainings.begun(run.path)) == (9, {})
    train_all(run)
    files_there = {path.name for path in place.iterdir() if not path.name.startswith(".")}
    assert files_there == {"run.json", "recipe.yaml", "split.json", "weights", "train"}
    assert not list(place.rglob(".twinpose*"))
    held = weights.read(place / "weights" / "init.safetensors")
    assert all(np.isfinite(value).all() for value in held.values())


def test_imported_weights_have_no_seeds(run: RunFolder) -> None:
    imported = {"name": "official.safetensors", "sha256": "0" * 64}
    for twin in ("tf", "torch"):
        write_json(run.train_folder(twin) / "summary.json", {"best_epoch": 0, "imported": imported})
    with pytest.raises(UserError, match=r"has the imported weights official\.safetensors"):
        preparing.ask_for_seeds(run, 2)
