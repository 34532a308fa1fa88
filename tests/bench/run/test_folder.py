"""A run folder keeps what it was made with, and an interrupted preparation is taken up again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import twins

from bench.run import folder as folder_
from bench.run.folder import Settings
from bench.stages import preparing
from pose.errors import UserError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return twins.dataset(tmp_path_factory.mktemp("coco") / "data")


@pytest.fixture
def settings(rendered: Path) -> Settings:
    return Settings(rendered, None, "cpu", 2, 1)


def test_a_prepared_run_is_opened_again(tmp_path: Path, settings: Settings) -> None:
    made = preparing.prepare(tmp_path / "run", twins.tiny(), settings)
    assert (
        preparing.prepare(tmp_path / "run", twins.tiny(), settings)
        == made
        == folder_.opened(tmp_path / "run")
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "cuda"}, "device cpu, not cuda"),
        ({"threads": 7}, "threads 2, not 7"),
        ({"workers": 0}, "workers 1"),
    ],
)
def test_other_settings_are_refused_by_name(
    tmp_path: Path, settings: Settings, change: dict[str, object], said: str
) -> None:
    preparing.prepare(tmp_path / "run", twins.tiny(), settings)
    with pytest.raises(UserError, match=said):
        preparing.prepare(tmp_path / "run", twins.tiny(), replace(settings, **change))  # type: ignore[arg-type]


def test_another_recipe_is_refused_by_the_key_that_differs(tmp_path: Path, settings: Settings) -> None:
    preparing.prepare(tmp_path / "run", twins.tiny(), settings)
    with pytest.raises(UserError, match=r"training\.epochs: 2 there, 5 given"):
        preparing.prepare(tmp_path / "run", twins.tiny(epochs=5), settings)


def test_an_interrupted_preparation_is_taken_up_and_swept(tmp_path: Path, settings: Settings) -> None:
    run = tmp_path / "run"

    def interrupt() -> None:
        with folder_.locked(run, create=True):
            (run / "split.json").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    killed = 'from pose.files import replacing\nwith replacing("weights/a.json"): import os; os._exit(9)'
    subprocess.run([sys.executable, "-c", killed], cwd=run, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert [p.name for p in (run / "weights").iterdir()] != []
    with folder_.locked(run, create=True):
        preparing.prepare(run, twins.tiny(), settings)
    assert [p.name for p in (run / "weights").iterdir()] == ["init.safetensors"]


USERS = (".bashrc", ".netrc", ".git/.private", "proj/.gitignore", ".a.abcd1234.json", "notes.txt")


def own(folder: Path, names: Sequence[str] = USERS) -> set[Path]:
    """Put files of a user's into a folder and return them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    return {folder / name for name in names}


@pytest.mark.parametrize(
    "names", [USERS, (".bashrc",), ("data/mine.jpg",), ("weights/mine.pth", "split.json")]
)
def test_a_folder_of_the_users_is_left_as_it_was(tmp_path: Path, names: Sequence[str]) -> None:
    mine = own(tmp_path, names)
    with pytest.raises(UserError, match="is no run folder"), folder_.locked(tmp_path, create=True):
        pytest.fail("a folder that is no run was taken")
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == mine


def test_the_users_own_files_in_a_run_stay(tmp_path: Path, settings: Settings) -> None:
    preparing.prepare(tmp_path / "run", twins.tiny(), settings)
    mine = own(tmp_path / "run", (*USERS, "train/.gitkeep", "report/.note.md"))
    with folder_.locked(tmp_path / "run"):
        pass
    assert all(path.read_text() == "mine" for path in mine)


def test_a_new_folder_in_which_nothing_came_to_be_goes_again(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such dataset"), folder_.locked(tmp_path / "run", create=True):
        raise UserError("no such dataset")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_work_on_one_run(tmp_path: Path, settings: Settings) -> None:
    preparing.prepare(tmp_path / "run", twins.tiny(), settings)
    with (
        folder_.locked(tmp_path / "run"),
        pytest.raises(UserError, match="another twinpose process"),
        folder_.locked(tmp_path / "run"),
    ):
        pytest.fail("the second lock was given")


@pytest.mark.parametrize(
    "text",
    ["[]", '[{"image_id": 1}]', "{", '[{"image_id": -5, "category_id": 1, "bbox": [0,0,9,9], "score": 1}]'],
)
def test_wrong_detections_are_noticed_before_anything_is_trained(
    tmp_path: Path, settings: Settings, text: str
) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(text)
    with pytest.raises(UserError, match=r"boxes\.json"):
        preparing.prepare(tmp_path / "run", twins.tiny(), replace(settings, boxes=boxes))
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no run description of schema 1"),
        ("[]", "no run description of schema 1"),
        ('{"schema": 99}', "has schema 99, this twinpose reads up to 1"),
        ('{"schema": 1}', "missing required field `coco`"),
    ],
)
def test_a_damaged_run_json_is_the_users_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=said):
        folder_.opened(tmp_path)


def test_a_rendered_dataset_inside_the_run_moves_with_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    coco = twins.dataset(run / "data")
    preparing.prepare(run, twins.tiny(), Settings(coco, None, "cpu", 1, 0))
    run.rename(tmp_path / "moved")
    assert folder_.opened(tmp_path / "moved").settings.coco == tmp_path / "moved" / "data"
    assert json.loads((tmp_path / "moved" / "run.json").read_text())["coco"] == "data"
