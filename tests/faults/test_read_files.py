"""What is read: keys given twice, damaged files of a run, other schemas, conflict copies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from commands import Say

from bench.parity import gate
from bench.run import folder as folder_
from bench.run import results
from bench.run.folder import RunFolder
from bench.stages import evaluation, measurement, order
from pose import recipe, strict_yaml
from pose.errors import UserError
from pose.files import write_json, write_text
from reports.run.read import read

ROOT = Path(__file__).resolve().parents[2]
BENCHED = ROOT / "tests" / "golden" / "schema_2"
CELL = "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency"


@pytest.mark.parametrize(
    ("text", "lines"),
    [("a: 1\nb: 2\na: 3\n", "lines 1 and 3"), ("b:\n- c: 1\n  d: 2\n  c: 1\n", "lines 2 and 4")],
)
def test_a_key_that_is_given_twice_is_named_with_its_lines(text: str, lines: str, tmp_path: Path) -> None:
    write_text(tmp_path / "own.yaml", text)
    with pytest.raises(UserError, match=rf"own\.yaml .*'[ac]' is given twice, in {lines}"):
        strict_yaml.read(tmp_path / "own.yaml", "a recipe")


def test_a_key_beside_those_that_an_alias_merges_is_given_once() -> None:
    assert strict_yaml.parse("x: &x {a: 1}\ny: {<<: *x, a: 2}") == {"x": {"a": 1}, "y": {"a": 2}}


@pytest.mark.parametrize("kind", ["recipe", "matrix"])
def test_recipes_and_matrices_refuse_a_key_given_twice(say: Say, kind: str, tmp_path: Path) -> None:
    shipped = recipe.find("smoke", {"recipe": "recipes", "matrix": "matrices"}[kind])
    write_text(tmp_path / "own.yaml", shipped.read_text() + "name: another\n")
    with pytest.raises(UserError, match="'name' is given twice"):
        recipe.load(str(tmp_path / "own.yaml")) if kind == "recipe" else measurement.load_matrix(
            None,  # type: ignore[arg-type]
            str(tmp_path / "own.yaml"),
        )


@pytest.mark.parametrize("beside", [True, False])
def test_a_run_has_its_own_matrix_wherever_one_stands(
    beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    own = yaml.safe_load(recipe.find("smoke").read_text()) | {"matrix": "mine.yaml"}
    write_text(folder / "own.yaml", yaml.safe_dump(own))
    mine = (folder if beside else tmp_path) / "mine.yaml"
    shutil.copy(recipe.find("smoke", "matrices"), mine)
    monkeypatch.chdir(tmp_path)
    loaded = recipe.load("recipes/own.yaml")
    assert loaded.matrix == str(mine)
    assert recipe.load("smoke", ["matrix=mine.yaml"]).matrix == str(tmp_path / "mine.yaml")
    write_text(tmp_path / "run" / "recipe.yaml", loaded.to_yaml())
    monkeypatch.chdir("/")
    assert recipe.load(str(tmp_path / "run" / "recipe.yaml")).matrix == str(mine)


DAMAGED = ["{}", "[]", "3", "null", "[3]", '{"best_epoch": "x", "comparisons": 3}', "{"]


def test_a_damaged_summary_of_a_training_is_named(say: Say, run: RunFolder) -> None:
    file = run.train_folder("torch") / "summary.json"
    for text in DAMAGED:
        write_text(file, text)
        ended = say("report", run.path)
        assert (ended.code, ended.error.count("\n")) == (2, 1)
        assert str(file) in ended.error
        assert "expected a training summary" in ended.error


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        *[(name, []) for name in ("run.json", "split.json", "ground_truth.json", "parity.json", "test.json")],
        ("artifacts/torch/conversion.json", []),
        ("bench/bench.json", ["{}", DAMAGED[5]]),
        ("bench/comparisons.json", ["{}"]),
        ("bench/accuracies.json", []),
        (f"bench/cells/{CELL}.json", []),
        ("samples/samples.json", ["[]"]),
    ],
)
def test_a_damaged_file_of_a_run_is_named(run: RunFolder, name: str, legal: list[str]) -> None:
    """As the stages, the gate and the report read it."""
    write_text(run.train_folder("torch") / "best.safetensors", "")
    for text in [one for one in DAMAGED if one not in legal]:
        write_text(run.path / name, text)
        with pytest.raises(UserError, match=Path(name).stem):
            _read_all(run)


def _read_all(run: RunFolder) -> None:
    folder_.opened(run.path)
    evaluation.stored_truth(run, "val")
    gate.of_run(run.path)
    for stage in order.sequence(run, uncertified=True):
        stage.holds()
    read(run.path)


@pytest.mark.parametrize("part", ["matrix", "machine", "noise"])
def test_a_bench_whose_facts_are_damaged_is_not_compared(say: Say, part: str, tmp_path: Path) -> None:
    shutil.copytree(BENCHED, tmp_path / "run")
    file = tmp_path / "run" / "bench" / "bench.json"
    write_json(file, json.loads(file.read_text()) | {part: 3})
    ended = say("compare", tmp_path / "run", BENCHED)
    assert (ended.code, ended.error.count("\n")) == (2, 1)
    assert str(file) in ended.error


@pytest.mark.parametrize(("name", "newest"), [("run.json", 1), ("parity.json", 1), ("bench/bench.json", 2)])
def test_each_file_is_read_up_to_its_own_schema(run: RunFolder, name: str, newest: int) -> None:
    path = run.path / name
    before = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, before | {"schema": newest + 1})
    with pytest.raises(UserError, match=rf"has schema {newest + 1}, this twinpose reads up to {newest}"):
        read(run.path)


def test_a_run_of_another_schema_is_told_by_its_number(run: RunFolder) -> None:
    write_json(run.path / "run.json", run.facts() | {"schema": 7})
    with pytest.raises(UserError, match=r"run\.json has schema 7, this twinpose reads up to 1"):
        folder_.opened(run.path)


def test_a_conflict_copy_of_a_cell_is_no_cell(tmp_path: Path) -> None:
    shutil.copytree(BENCHED, tmp_path / "run")
    cells = results.folder(tmp_path / "run")
    for name in (f"{CELL} (conflicted copy 2026-01-01).json", f"{CELL}.sync-conflict-20260101-1.json"):
        shutil.copy(cells / f"{CELL}.json", cells / name)
    assert results.cells(tmp_path / "run") == results.cells(BENCHED)
