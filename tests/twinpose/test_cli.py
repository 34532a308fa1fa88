"""What the command line says and how it ends, without any framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import run_folders
from commands import twinpose

from bench.cells.protocol import PROFILES
from pose import synthetic

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "coco"
    synthetic.make(folder, train_images=12, val_images=6, seed=5, processes=1)
    return folder


def first_annotation(coco: Path) -> int:
    rows = json.loads((coco / "annotations" / "person_keypoints_train2017.json").read_text())["annotations"]
    return int(next(row["id"] for row in rows if row["num_keypoints"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["runn"], "Did you mean 'run'?"),
        (["run", "--recipe", "smok", "--out", "x"], "did you mean 'smoke'?"),
        (["run", "--recipe", "smoke", "--out", "x", "--sett", "a=b"], "No such option: --sett"),
        (["run", "--recipe", "smoke", "--out", "x", "--set", "training.epocs=3"], "did you mean 'epochs'?"),
        (["run", "--recipe", "smoke", "--out", "x", "--set", "training.epochs=none"], "valid integer"),
        (["run", "--recipe", "coco_resnet50_256x192", "--out", "x"], "--coco DIR"),
        (["run", "--recipe", "smoke", "--out", "x", "--coco", "nowhere"], "nowhere"),
        (["run", "--recipe", "smoke", "--out", "x", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["run", "--recipe", "smoke", "--out", "x", "--seeds", "3", "--weights", "w"], "one of them"),
        (["predict", "--runtime", "onnx"], "'onnxruntime'"),
        (["bench", "nowhere"], "expected a run folder"),
        (["train", "nowhere"], "expected a run folder"),
        (["report", "nowhere"], "expected a run folder"),
        (["parity", "--recipe", "smok"], "did you mean 'smoke'?"),
        (["eval"], "nothing was scored"),
        (["data", "check", "--coco", "nowhere"], "nowhere"),
        (["reproduce", "dem"], "did you mean"),
        (["compare", "nowhere"], "expected a second run, or a floor such as --max-ms 30"),
        (["compare", "nowhere", "elsewhere"], "no nowhere; expected a run folder with a bench"),
        (
            ["compare", GOLDEN / "schema_2", GOLDEN / "schema_2", "--fail-over", "5"],
            "expected for example 5%",
        ),
        (["compare", GOLDEN / "schema_2", GOLDEN / "benchmarks.json"], "expected two runs or two"),
        (["bench", "nowhere", "--parquet", "x.parquet"], "expected a run folder with a bench"),
        (["-q", "-v", "doctor"], "expected one of them"),
        (
            ["weights", "import", "nowhere.pth", "--recipe", "smoke", "--out", "x.safetensors"],
            "no file nowhere.pth",
        ),
        (
            ["weights", "import", "setup.cfg", "--recipe", "smoke", "--out", "x.safetensors"],
            "no file setup.cfg",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str | Path], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = twinpose(*arguments)
    assert done.code == 2
    assert len(done.error.strip().splitlines()) == 1
    assert done.error.startswith("twinpose: ")
    assert said in done.error
    assert done.out == ""
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"]


def test_a_sample_has_the_contracts_arrays(rendered: Path, tmp_path: Path) -> None:
    out = tmp_path / "sample.npz"
    ann = first_annotation(rendered)
    common = ["data", "sample", "--recipe", "smoke", "--coco", rendered, "--split", "train", "--ann", ann]
    done = twinpose(*common, "--no-augment", "--out", out, "--json")
    assert done.code == 0, done.error
    assert json.loads(done.out)["annotation"] == ann
    with np.load(out) as made:
        shapes = {name: (made[name].shape, str(made[name].dtype)) for name in made.files}
    assert shapes == {
        "image": ((96, 64, 3), "uint8"),
        "heatmaps": ((17, 24, 16), "float32"),
        "weights": ((17,), "float32"),
        "affine": ((2, 3), "float64"),
    }
    assert twinpose(*common, "--epoch", "2", "--seed", "7", "--out", tmp_path / "a.npz").code == 0
    assert twinpose(*common, "--epoch", "2", "--seed", "7", "--out", tmp_path / "b.npz").code == 0
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b, np.load(out) as plain:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
        assert not np.array_equal(a["image"], plain["image"])


def test_an_unknown_annotation_leaves_the_file_that_was_there(rendered: Path, tmp_path: Path) -> None:
    out = tmp_path / "sample.npz"
    out.write_bytes(b"precious")
    done = twinpose("data", "sample", "--recipe", "smoke", "--coco", rendered, "--ann", "1", "--out", out)
    assert done.code == 2
    assert "annotation 1 is no usable person" in done.error
    assert out.read_bytes() == b"precious"


def test_ground_truth_scored_as_predictions_is_perfect(rendered: Path, tmp_path: Path) -> None:
    truth = json.loads((rendered / "annotations" / "person_keypoints_val2017.json").read_text())
    rows = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 1.0}
        for a in truth["annotations"]
    ]
    predictions = tmp_path / "p.json"
    predictions.write_text(json.dumps(rows))
    done = twinpose("eval", "--predictions", predictions, "--coco", rendered, "--split", "val", "--json")
    assert done.code == 0, done.error
    numbers = json.loads(done.out)
    assert list(numbers) == ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]
    assert numbers["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["[", '[{"image_id": 1}]', '{"a": 1}', "[NaN]"])
def test_malformed_predictions_are_the_users_mistake(rendered: Path, tmp_path: Path, text: str) -> None:
    predictions = tmp_path / "p.json"
    predictions.write_text(text)
    done = twinpose("eval", "--predictions", predictions, "--coco", rendered, "--split", "val")
    assert done.code == 2
    assert str(predictions) in done.error
    assert len(done.error.strip().splitlines()) == 1


def test_data_check_exits_1_and_names_the_problem(rendered: Path, tmp_path: Path) -> None:
    assert twinpose("data", "check", "--coco", rendered).code == 0
    broken = tmp_path / "coco"
    synthetic.make(broken, train_images=3, val_images=2, seed=1, processes=1)
    lost = next((broken / "train2017").glob("*.jpg"))
    lost.unlink()
    done = twinpose("data", "check", "--coco", broken, "--json")
    assert done.code == 1
    assert lost.name in done.out


def test_doctor_prints_json_facts_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "twinpose", "doctor", "--json", "--probe-s", "0.2"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=True)
    assert {"machine", "findings", "noise"} == json.loads(done.stdout).keys()
    assert json.loads(twinpose("doctor", "--json", "--probe-s", "0").out)["noise"] is None


def test_reproduce_lists_the_stored_tables_and_their_commands() -> None:
    names = json.loads(twinpose("reproduce", "--json").out)
    assert names
    for name in names:
        told = twinpose("reproduce", name, "--run", "/nonexistent")
        assert told.code == 2
        assert "twinpose report" in told.error
        assert json.loads(twinpose("reproduce", name, "--json").out)["table"]["command"].startswith(
            "twinpose"
        )


def test_compare_exits_with_a_code_for_each_finding(tmp_path: Path) -> None:
    """The same run is fine; slower cells, a lost one and another kernel each have their own code."""
    one, other = run_folders.cell(), run_folders.cell("throughput", batch=8)
    results = [
        run_folders.result(one, [20.0, 20.1, 20.2, 20.3]),
        run_folders.result(other, [50.0, 50.1, 50.2]),
    ]
    slower = [run_folders.result(one, [30.0, 30.1, 30.2, 30.3]), results[1]]
    a = run_folders.write(tmp_path / "a", results)
    b = {
        0: run_folders.write(tmp_path / "same", results),
        4: run_folders.write(tmp_path / "slower", slower),
        5: run_folders.write(tmp_path / "lost", results[:1]),
        6: run_folders.write(tmp_path / "moved", slower, machine=run_folders.MACHINE | {"kernel": "6.2.0"}),
    }
    for code, run in b.items():
        done = twinpose("compare", a, run)
        assert (done.code, done.error) == (code, "")
    facts = json.loads(twinpose("compare", a, b[4], "--fail-over", "60%", "--json").out)
    assert (facts["exit_code"], facts["counts"]["slower"], facts["counts"]["regressed"]) == (0, 1, 0)
    assert twinpose("compare", a, b[6], "--across-machines", "-k", "throughput").code == 0


def test_parquet_is_written_and_nothing_is_measured(tmp_path: Path) -> None:
    done = twinpose("bench", GOLDEN / "schema_2", "--parquet", tmp_path / "cells.parquet")
    assert (done.code, done.out) == (0, f"8 rows -> {tmp_path / 'cells.parquet'}\n")
    assert (tmp_path / "cells.parquet").stat().st_size > 0


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("be", {"bench"}),
        ("data ch", {"check"}),
        ("compare --fail", {"--fail-over"}),
        ("run --recipe sm", {"smoke"}),
        ("bench --profile ", {*PROFILES, "matrix"}),
    ],
)
def test_a_shell_completes_verbs_options_choices_and_recipes(
    monkeypatch: pytest.MonkeyPatch, typed: str, offered: set[str]
) -> None:
    """By the script that --install-completion writes, which asks like this."""
    monkeypatch.setenv("_TWINPOSE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"twinpose {typed}")
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ") + 1))
    ended = twinpose()
    assert (ended.code, set(ended.out.split())) == (0, offered)


def test_the_script_of_a_shell_asks_by_that_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TWINPOSE_COMPLETE", "source_bash")
    script = twinpose().out
    assert "_TWINPOSE_COMPLETE=complete_bash" in script
    assert "complete -o default -F _twinpose_completion twinpose" in script
