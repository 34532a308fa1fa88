"""Every shipped file is valid and says its command; tests of either twin build every recipe's model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cells import matrix
from pose import recipe
from pose.training_section import Augmentation, StepSchedule
from reports import reproduce

RECIPES = recipe.shipped("recipes")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_its_command_and_its_own_name(name: str) -> None:
    first = recipe.find(name).read_text(encoding="utf-8").splitlines()[0]
    assert f"twinpose run --recipe {name}" in first
    assert recipe.load(name).name == name


@pytest.mark.parametrize("name", RECIPES)
def test_a_resolved_recipe_reads_back_as_itself(name: str, tmp_path: Path) -> None:
    loaded = recipe.load(name)
    (tmp_path / "recipe.yaml").write_text(loaded.to_yaml(), encoding="utf-8")
    assert recipe.load(str(tmp_path / "recipe.yaml")) == loaded


@pytest.mark.parametrize("name", recipe.shipped("matrices"))
def test_a_matrix_is_valid_and_named_as_its_file(name: str) -> None:
    assert matrix.load(name).name == name
    assert f"--matrix {name}" in recipe.find(name, "matrices").read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.parametrize("name", recipe.shipped("matrices"))
def test_a_matrix_says_how_many_cells_it_has_on_two_cores(name: str) -> None:
    text = recipe.find(name, "matrices").read_text(encoding="utf-8")
    header = text.partition("\nname:")[0]
    said = [int(count) for count in re.findall(r"(\d+) cells", header)]
    assert said in ([], [len(matrix.load(name, cores=2).cells)])
    assert "{" not in header


@pytest.mark.parametrize("name", recipe.shipped("tables"))
def test_a_stored_tables_recipe_exists(name: str) -> None:
    table = reproduce.find(name)
    words = table.command.split()
    assert words[:2] == ["twinpose", "run"]
    assert words[words.index("--recipe") + 1] in RECIPES
    assert words[words.index("--out") + 1] == table.run


def test_the_reference_is_the_papers() -> None:
    reference = recipe.load("coco_resnet50_256x192")
    training = reference.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (140, 128, 1e-3)
    assert training.schedule == StepSchedule(epochs=(90, 120), factor=0.1)
    assert training.augmentation == Augmentation()
    assert (reference.model.sigma_px, recipe.load("coco_resnet50_384x288").model.sigma_px) == (2, 3)


def test_the_study_is_as_it_was_described() -> None:
    study = recipe.load("study_resnet50_256x192")
    assert (study.training.epochs, study.training.batch_size) == (50, 32)
    assert study.training.schedule.kind == "plateau"
    assert study.training.early_stopping is None
    assert study.training.augmentation.colour_jitter
    assert study.training.augmentation.occlusion
    assert (study.split.method, study.split.fractions) == ("fractions", (0.8, 0.1, 0.1))
    assert study.report.table_epochs == (10, 20, 30, 40, 50)
