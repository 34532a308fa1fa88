"""A run follows its data set to another folder, and takes no other for it."""

from __future__ import annotations

import shutil

import mini_coco
import pytest
import twins
from typer.testing import CliRunner

from bench.run import folder
from bench.run.folder import Settings
from bench.stages import preparing
from pose import recipe as recipes
from pose import splits
from pose.errors import UserError
from twinpose.cli import app
from twinpose.run import prepare


@pytest.fixture
def made(tmp_path):
    mini_coco.build(tmp_path / "c")
    return preparing.prepare(tmp_path / "run", twins.tiny(), Settings(tmp_path / "c", None, "cpu", 2, 1))


def moved(made, tmp_path):
    return shutil.move(tmp_path / "c", tmp_path / "d")


def test_the_same_annotation_files_elsewhere_are_the_same_data_and_recorded(made, tmp_path):
    there = moved(made, tmp_path)
    with pytest.raises(UserError, match=r"No such file .* give its folder with --coco DIR"):
        splits.select(splits.read(made.split_file), folder.opened(made.path).settings.coco, "train")
    assert folder.opened(made.path, there).settings.coco == there.resolve()
    again = folder.opened(made.path)
    assert len(splits.select(splits.read(again.split_file), again.settings.coco, "train")) == 6


def test_preparing_a_run_again_takes_its_data_from_where_it_lies_now(made, tmp_path):
    there = moved(made, tmp_path)
    again = preparing.prepare(made.path, twins.tiny(), Settings(there, None, "cpu", 2, 1))
    assert again.settings.coco == folder.opened(made.path).settings.coco == there.resolve()


def test_another_data_set_is_refused_and_nothing_is_recorded(made, tmp_path):
    other = tmp_path / "other"
    mini_coco.build(other, change=mini_coco.every_person(area=77))
    before = (made.path / "run.json").read_bytes()
    for coco, words in ((other, "SHA-256 differs"), (tmp_path / "none", "No such file")):
        with pytest.raises(UserError, match=f"is another data set: .*{words}"):
            folder.opened(made.path, coco)
        with pytest.raises(UserError, match="was made with coco"):
            preparing.prepare(made.path, twins.tiny(), Settings(coco, None, "cpu", 2, 1))
    assert (made.path / "run.json").read_bytes() == before


def test_a_run_that_is_continued_without_coco_keeps_its_own(made, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(twins.tiny().to_yaml())
    again = prepare(made.path, recipes.load(str(recipe)), None, None, None, None, None)
    assert again.settings == folder.opened(made.path).settings
    assert not (made.path / "data").exists()


@pytest.mark.parametrize("verb", ["train", "convert", "bench", "parity", "eval"])
def test_verbs_of_a_run_take_the_folder_of_its_data(made, tmp_path, verb):
    result = CliRunner().invoke(app, [verb, str(made.path), "--coco", str(tmp_path / "none")])
    assert isinstance(result.exception, UserError)
    assert "is another data set" in str(result.exception)
