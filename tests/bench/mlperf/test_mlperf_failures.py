"""LoadGen's cells that fail, are kept or are not driven: a row for each, with its reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benching import TESTS, one
from loadgen_runs import LATENCY, THROUGHPUT, drive

from bench import mlperf
from bench.machine import fingerprint
from bench.process import launch
from pose.errors import UserError


@pytest.mark.parametrize(
    ("cells", "runner", "status", "words"),
    [
        (
            LATENCY,
            "mlperf_runners:BreaksInATest",
            "failed",
            "RuntimeError: a kernel was not found (see bench",
        ),
        (THROUGHPUT, "mlperf_runners:BreaksInATest", "failed", "RuntimeError: a kernel was not found"),
        (LATENCY, "fake_runners:Segfaults", "failed", "killed by SIGSEGV (see bench/mlperf/"),
        (LATENCY, "fake_runners:Misused", "failed", "the weights are of another model"),
        (LATENCY, "fake_runners:NotHere", "unsupported", "no CUDA device is visible"),
        (
            one("latency", batch=8).cells,
            "fake_runners:Sleeper",
            "unsupported",
            "one sample a query, not for 8",
        ),
    ],
)
def test_whatever_goes_wrong_becomes_a_row(
    run_folder: Path, cells: Any, runner: str, status: str, words: str
):
    [row] = drive(run_folder, cells, runner)
    assert (row["status"], row["scenarios"]) == (status, [])
    assert words in row["reason"]
    if "see " in words:
        assert (run_folder / row["reason"].partition("(see ")[2].rstrip(")")).exists()
    assert row["reason"] in mlperf.text([row], None)


def test_a_runner_that_breaks_in_server_does_not_wait_for_the_schedule_to_end(run_folder: Path):
    # Ten minutes of arrivals are planned; the time-out would say so.
    [row] = drive(run_folder, LATENCY, "mlperf_runners:BreaksInServer", server_queries=600, target_qps=1)
    assert row["status"] == "failed"
    assert row["reason"].startswith("RuntimeError: a kernel was not found")


@pytest.mark.parametrize("runner", ["BreaksInATest", "BreaksInServer"])
def test_a_broken_test_takes_nothing_down_with_it(run_folder: Path, runner: str):
    [row] = drive(run_folder, LATENCY, f"mlperf_runners:{runner}", server_queries=600, target_qps=1)
    # The child's answer is written before it ends; how it ends is seen by asking the same again.
    child = run_folder / row["logs"] / "child"
    environment = os.environ | {"PYTHONPATH": f"{launch.ROOT}:{TESTS}"}
    command = [sys.executable, "-P", "-m", "bench.process.worker", str(child)]
    again = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads((child / "result.json").read_text())["reason"] == "RuntimeError: a kernel was not found"


def test_a_runner_that_hangs_times_out(run_folder: Path):
    [row] = drive(run_folder, LATENCY, "fake_runners:Hangs", timeout_s=2.0)
    # Twice the least duration of two scenarios is granted on top.
    assert (row["status"], row["reason"]) == ("timeout", "no result after 3.2 s")


def test_after_a_cell_that_crashed_the_next_one_runs(run_folder: Path):
    crashed, after = drive(run_folder, (*LATENCY, *THROUGHPUT), "fake_runners:Segfaults")
    assert (crashed["status"], after["status"]) == ("failed", "ok")


def test_without_the_package_a_cell_is_unsupported_and_names_the_extra(run_folder: Path, tmp_path: Path):
    absent = tmp_path / "absent"
    absent.mkdir()
    raising = 'raise ModuleNotFoundError("No module named it", name="mlperf_loadgen")'
    (absent / "mlperf_loadgen.py").write_text(raising)
    [row] = drive(run_folder, env={"PYTHONPATH": f"{absent}:{TESTS}"})
    assert row["status"] == "unsupported"
    assert "pip install twinpose[mlperf]" in row["reason"]


def test_a_stray_audit_config_changes_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "audit.config").write_text("*.*.min_query_count = 5000\n")
    monkeypatch.chdir(tmp_path)
    [row] = drive(run_folder)
    assert row["scenarios"][0]["settings"]["min_query_count"] == 100


def test_a_finished_cell_is_kept_until_something_that_decides_it_changes(run_folder: Path):
    def skipped(**given: Any) -> bool:
        heard: list[dict[str, Any]] = []
        drive(run_folder, on_event=lambda name, fields: heard.append(fields), **given)
        return bool(heard[-1]["skipped"])

    assert not skipped()
    assert skipped()
    assert skipped(timeout_s=61.0)
    assert not skipped(seed=1)
    path = next((run_folder / "bench" / "mlperf").glob("*.json"))
    path.write_text(path.read_text()[:100])
    assert not skipped(seed=1)
    (run_folder / "train/torch/best.safetensors").write_bytes(b"other weights")
    assert not skipped(seed=1)


def test_without_a_certificate_nothing_is_driven_and_the_row_says_why(run_folder: Path):
    [row] = drive(run_folder, uncertified=False)
    assert (row["status"], row["scenarios"], row["certificate_id"]) == ("uncertified", [], None)
    assert "the run has no certificate" in row["reason"]
    assert not (run_folder / row["logs"]).exists()


def test_a_cell_for_a_gpu_that_is_absent_lacks_no_certificate(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fingerprint, "gpus", list)
    cells = one(device="cuda").cells
    [row] = drive(run_folder, cells, "fake_runners:NotHere", uncertified=False)
    assert (row["status"], row["reason"]) == ("unsupported", "no CUDA device is visible to this runner")


def test_a_missing_artifact_becomes_a_row(run_folder: Path):
    cells = one(runtime="onnxruntime", mode="ir").cells
    [row] = mlperf.run(run_folder, cells, uncertified=False)
    assert row["status"] == "failed"
    assert "the run has no artifacts/torch/model.onnx; 'twinpose convert" in row["reason"]


def test_cells_without_a_counterpart_are_left_out(run_folder: Path):
    rows = drive(run_folder, one(["accuracy", "latency"]).cells)
    assert [row["axes"]["scenario"] for row in rows] == ["latency"]
    with pytest.raises(UserError, match="expected one of: latency, throughput"):
        drive(run_folder, one("accuracy").cells)
