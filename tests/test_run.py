"""The whole way: a run interrupted, continued in a process of its own, and each verb alone on the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refuses, succeeds
from schemas import of_run, validate

from bench.parity import weight_hashes
from pose import weights

ROOT = Path(__file__).resolve().parent.parent
# Whole runs in real processes: on a machine that others use too, several times what they take alone.
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.frameworks("tensorflow", "torch", "openvino", "onnxruntime"),
]

MATRICES = Path(__file__).parent / "matrices"
TRAINED = (
    *("--set", "training.epochs=2", "--set", "data.synthetic.train_images=16"),
    *("--set", f"matrix={MATRICES / 'every_runtime.yaml'}", "--uncertified"),
)
"""Without the parity ladder, which takes minutes: a run of imported weights climbs it below."""


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "twinpose", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=ROOT, env=environment, **pipes)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 400
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return torch's best weights in each native format and back, by the name of the native file."""
    best, folder = run_folder / "train" / "torch" / "best.safetensors", tmp_path_factory.mktemp("native")
    found = {}
    for name in ("w.pth", "w.weights.h5"):
        native, back = folder / name, folder / f"{name}.safetensors"
        succeeds("weights", "export", best, "--recipe", "smoke", "--out", native)
        succeeds("weights", "import", native, "--recipe", "smoke", "--out", back)
        found[name] = back
    return found


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a smoke run that was killed after its first epoch, and continued."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    arguments = ("run", "--recipe", "smoke", "--out", folder, *TRAINED)
    process = start(*arguments)
    wait_for(folder / "train" / "tf" / "epochs.jsonl", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = (folder / "train" / "tf" / "epochs.jsonl").read_text().splitlines()[0]
    process = start(*arguments, "--json")
    out, err = process.communicate(timeout=560)
    assert process.returncode == 0, err
    assert json.loads(out)["report"] == str(folder / "report" / "report.html")
    assert (folder / "train" / "tf" / "epochs.jsonl").read_text().splitlines()[0] == first
    return folder


def test_a_killed_run_takes_its_children_with_it_and_is_continued(run_folder: Path) -> None:
    stages = json.loads((run_folder / "run.json").read_text())["stages"]
    expected = ["train tf", "train torch", "test", "convert tf", "convert torch", "bench", "samples"]
    assert list(stages) == expected
    for twin in ("tf", "torch"):
        lines = (run_folder / "train" / twin / "epochs.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
        assert {"epoch", "lr", "train_loss", "val_loss", "ap"} <= json.loads(lines[0]).keys()
        assert len(list((run_folder / "train" / twin / "predictions").glob("epoch_*.json"))) == 2


def test_every_file_of_text_is_as_one_schema_says(run_folder: Path) -> None:
    found = of_run(run_folder)
    assert {path.name for path in found} >= {"request.json", "result.json", "events.jsonl", "synthetic.json"}
    assert {path: [one.name for one in known] for path, known in found.items() if len(known) != 1} == {}
    for path, [one] in found.items():
        validate(path, one)


def test_a_second_call_does_nothing_again(run_folder: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in run_folder.glob("train/**/*") if p.is_file()}
    cells = {p: p.stat().st_mtime_ns for p in run_folder.glob("bench/cells/*")}
    succeeds("run", "--recipe", "smoke", "--out", run_folder, *TRAINED)
    succeeds("bench", run_folder)
    assert {p: p.stat().st_mtime_ns for p in run_folder.glob("train/**/*") if p.is_file()} == before
    assert {p: p.stat().st_mtime_ns for p in run_folder.glob("bench/cells/*")} == cells


def test_a_run_of_another_recipe_is_refused(run_folder: Path) -> None:
    err = refuses("run", "--recipe", "smoke", "--out", run_folder, "--set", "training.epochs=9")
    assert "training.epochs: 2 there, 9 given" in err


def test_every_cell_has_a_row_and_the_report_stands_alone(run_folder: Path) -> None:
    cells = [json.loads(p.read_text()) for p in (run_folder / "bench" / "cells").glob("*.json")]
    assert {cell["status"] for cell in cells} == {"ok"}
    assert {cell["axes"]["runtime"] for cell in cells} == {"tf", "torch", "openvino"}
    assert {cell["certificate_id"] for cell in cells} == {None}
    page = (run_folder / "report" / "report.html").read_text()
    assert 'src="http' not in page
    assert "uncertified" in (run_folder / "report" / "tables" / "runtime_comparison.md").read_text()
    assert (
        (run_folder / "report" / "tables" / "per_epoch_map.csv")
        .read_text()
        .startswith("Epoch,TensorFlow mAP")
    )


def test_conversions_are_close_to_their_source(run_folder: Path) -> None:
    for twin, routes in (("tf", 1), ("torch", 2)):
        record = json.loads((run_folder / "artifacts" / twin / "conversion.json").read_text())
        assert len(record["routes"]) == routes
        for route in record["routes"]:
            assert route["max_abs_difference"] < 1e-3 * route["rms_source"] + 1e-6


def test_every_runtime_predicts_the_same_people(run_folder: Path, tmp_path: Path) -> None:
    found: dict[str, dict[str, Any]] = {}
    best, val = run_folder / "train" / "torch" / "best.safetensors", ("--coco", run_folder / "data")
    val += ("--split", "val", "--json")
    for runtime in ("torch", "tf", "onnxruntime", "openvino"):
        out, maps = tmp_path / f"{runtime}.json", tmp_path / f"{runtime}.npz"
        printed = succeeds(
            *("predict", "--runtime", runtime, "--weights", best, "--recipe", "smoke", *val),
            *("--out", out, "--heatmaps", maps),
        )
        with np.load(maps) as stored:
            found[runtime] = {"ids": stored["ann_ids"], "heatmaps": stored["heatmaps"]}
        scored = succeeds("eval", "--predictions", out, *val)
        assert json.loads(scored) == json.loads(printed)["numbers"]
    for runtime, row in found.items():
        assert np.array_equal(row["ids"], found["torch"]["ids"])
        assert row["heatmaps"].dtype == np.float32
        scale = np.abs(found["torch"]["heatmaps"]).max()
        assert np.abs(row["heatmaps"] - found["torch"]["heatmaps"]).max() < 1e-4 * scale + 1e-7, runtime


def test_weights_leave_and_come_back_unchanged(run_folder: Path, exported: dict[str, Path]) -> None:
    best = run_folder / "train" / "torch" / "best.safetensors"
    for back in exported.values():
        assert weights.fingerprint(weights.read(best)) == weights.fingerprint(weights.read(back))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_of_imported_weights_is_certified_cell_by_cell_until_a_weight_is_altered(
    run_folder: Path, tmp_path: Path
) -> None:
    """From a file of weights to timed cells, and nothing trained; one climb of the ladder serves it all."""
    best, out = run_folder / "train" / "torch" / "best.safetensors", tmp_path / "imported"
    arguments = ("run", "--recipe", "smoke", "--coco", run_folder / "data", "--out", out, "--weights", best)
    arguments += ("--set", f"matrix={MATRICES / 'every_runtime.yaml'}")
    succeeds(*arguments, "--uncertified")
    assert _certificates(out) == {None}
    samples = {p: p.read_bytes() for p in out.glob("bench/cells/*.npz")}
    succeeds(*arguments)
    _holds_certified(out, weights.fingerprint(weights.read(best)))
    assert {p: p.read_bytes() for p in out.glob("bench/cells/*.npz")} == samples
    assert "Nothing was trained" in (out / "report" / "report.html").read_text()
    assert "imported weights best.safetensors in the place of a trained tf" in refuses("train", out)
    _refuses_altered_weights(out)


def _certificates(run: Path) -> set[str | None]:
    return {json.loads(p.read_text())["certificate_id"] for p in run.glob("bench/cells/*.json")}


def _holds_certified(run: Path, given: str) -> None:
    """Assert that both twins hold the given weights, and that every cell's certificate is of them."""
    found = json.loads(succeeds("parity", run, "--rungs", "8", "--json"))
    assert found == json.loads((run / "parity.json").read_text())
    statuses = {rung["number"]: rung["status"] for rung in found["rungs"]}
    assert statuses == {**dict.fromkeys((1, 2, 3, 4, 5, 7, 8), "pass"), 6: "not climbed"}
    for twin in ("tf", "torch"):
        held = run / "train" / twin / "best.safetensors"
        assert weights.fingerprint(weights.read(held)) == given
        assert found["weights"][twin] == weight_hashes.describe_weights(held)
    assert _certificates(run) <= {arm["id"] for arm in found["runtimes"]}


def _refuses_altered_weights(run: Path) -> None:
    cells = {p: p.read_bytes() for p in run.glob("bench/cells/*.json")}
    _alter(run / "train" / "tf" / "best.safetensors", "layer2.0.bn1.bias")
    assert "parameter 'layer2.0.bn1.bias' differs" in refuses("bench", run)
    assert {p: p.read_bytes() for p in run.glob("bench/cells/*.json")} == cells


@pytest.mark.slow
def test_imported_weights_are_proven_in_both_twins(
    run_folder: Path, exported: dict[str, Path], tmp_path: Path
) -> None:
    back = exported["w.pth"]
    out = succeeds(
        *("parity", "--recipe", "smoke", "--weights", back, "--coco", run_folder / "data"),
        *("--rungs", "2,3", "--out", tmp_path / "proof", "--json"),
    )
    statuses = [rung["status"] for rung in json.loads(out)["rungs"]]
    assert statuses == ["not climbed", "pass", "pass", *["not climbed"] * 5]
    page = (tmp_path / "proof" / "parity.md").read_text()
    assert page.startswith("# The twins are equal as far as the ladder was climbed: rungs 2 and 3 passed.")
    assert not (tmp_path / "proof" / "parity").exists()


def _alter(path: Path, name: str) -> None:
    tensors, metadata = weights.read_with_metadata(path)
    tensors[name] = tensors[name] + np.float32(1e-6)
    weights.save(path, tensors, metadata)
