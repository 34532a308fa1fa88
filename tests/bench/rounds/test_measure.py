"""Cells over a run folder, in real processes, with runners that need no framework."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from benching import PROTOCOL, bench, measured, one

from bench.cells import matrix
from bench.machine import fingerprint
from bench.process import environment
from bench.run import results as results_
from bench.scenarios import watch
from bench.verdicts import ap_differences
from pose import bootstrap
from pose.errors import UserError
from pose.files import write_json


def test_latency_has_its_samples_beside_it(run_folder: Path):
    [result] = bench(run_folder, one())
    assert (result.status, result.reason) == ("ok", None)
    assert results_.cells(run_folder) == [result]
    latency_ns = results_.samples(run_folder, result)["latency_ns"]
    assert latency_ns.dtype == np.int64
    assert len(latency_ns) == result.stats["n"] == result.rounds[0].count >= 10
    assert latency_ns.min() >= 2_000_000
    assert result.stats["latency_ms"]["p50"] == np.percentile(latency_ns, 50, method="inverted_cdf") / 1e6
    assert result.stats["peak_rss_bytes"] > 10 * 2**20
    assert result.rounds[0].value == result.stats["latency_ms"]["p50"] == pytest.approx(result.stats["value"])
    phases = result.rounds[0].phases_s
    assert set(phases) == {"import", "load", "compile", "first", "warmup", "measured"}
    assert phases["measured"] is not None
    assert phases["measured"] >= 0.1
    assert phases["compile"] is None


def test_a_round_is_told_whether_its_cell_had_one_before(run_folder: Path):
    told = run_folder / "bench" / "children" / one().cells[0].id / "request.json"
    for rounds in (1, 2):
        bench(run_folder, one(protocol={"rounds": rounds}))
        assert json.loads(told.read_text())["payload"]["first"] == (rounds == 1)


def test_throughput_counts_whole_batches(run_folder: Path):
    [result] = bench(run_folder, one("throughput", batch=8))
    assert result.status == "ok"
    blocks = results_.samples(run_folder, result)["block_ns"]
    assert result.stats["n"] == result.rounds[0].count == len(blocks) * 4
    assert result.stats["images_per_s"] == pytest.approx(len(blocks) * 4 * 8 / (blocks.sum() / 1e9))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are listed in /proc")
def test_a_pool_of_which_half_is_idle_is_read_back_as_it_computed(run_folder: Path):
    [result] = bench(run_folder, one(protocol={"measured_s": 0.5}), "HalfIdle")
    assert (result.effective["threads_set"], result.effective["threads_computed"]) == (2, 1)
    [made] = result.rounds
    # Where others leave it less than a core it may have waited for them.
    if made.conditions["cores_used"] >= watch.COMPUTING_CORES:
        assert "1 of the lane's 2 threads computed" in made.validity.reasons


@pytest.mark.parametrize("threads", [1, 2])
def test_a_cell_has_the_processors_that_its_threads_need_and_is_invalid_without_those_threads(
    run_folder: Path, threads: int
):
    [result] = bench(run_folder, one(threads=threads), "Lazy")
    mine = fingerprint.usable_cores()
    assert len(result.effective["processors"]) >= min(threads, mine)
    reasons = " ".join(result.validity.reasons)
    assert ("the runtime says 1 threads, where the lane has 2" in reasons) == (threads == 2)
    assert ("threads shared" in reasons) == (threads > mine)
    assert threads == 1 or result.validity.verdict == "INVALID"


@pytest.mark.parametrize("batch", [1, 4])
def test_a_runner_that_knows_the_answers_scores_near_one(run_folder: Path, batch: int):
    [result] = bench(run_folder, one("accuracy", batch=batch, allocator="tuned"), "Oracle")
    assert result.status == "ok", result.reason
    assert result.stats["AP"] > 0.9
    kept = ap_differences.matches(run_folder, result)
    assert kept is not None
    assert bootstrap.ap(kept) == pytest.approx(result.stats["AP"])
    assert (result.stats["instances"], result.stats["images"]) == (6, 3)
    assert result.rounds[0].count == 6
    assert result.rounds[0].phases_s["compile"] == 0
    assert result.effective == {
        "precision": "fp32",
        "threads_set": 2,
        "OMP_NUM_THREADS": "2",
        "MALLOC_TOP_PAD_": environment.TUNED_ALLOCATOR["MALLOC_TOP_PAD_"],
    }


@pytest.mark.parametrize(
    ("runner", "status", "words"),
    [
        ("Aborts", "failed", "killed by SIGABRT (see bench/children/"),
        ("Segfaults", "failed", "killed by SIGSEGV (see bench/children/"),
        ("Raises", "failed", "RuntimeError: a kernel was not found (see bench/children/"),
        ("Misused", "failed", "the weights are of another model"),
        ("NotHere", "unsupported", "no CUDA device is visible"),
        ("Hangs", "timeout", "no result after 3 s"),
        ("Absent", "failed", "module 'fake_runners' has no 'Absent'"),
    ],
)
def test_whatever_goes_wrong_becomes_a_row(run_folder: Path, runner: str, status: str, words: str):
    [result] = bench(run_folder, one(), runner, timeout_s=3 if runner == "Hangs" else 60)
    assert (result.status, result.rounds, result.stats) == (status, [], {})
    assert words in str(result.reason)
    assert results_.cells(run_folder) == [result]
    if "see " in words:
        log = run_folder / str(result.reason).partition("(see ")[2].rstrip(")")
        assert log.exists()


def test_a_cell_that_eats_memory_becomes_a_row(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fingerprint, "memory_limit_bytes", lambda: 400 * 2**20)
    [result] = bench(run_folder, one(), "EatsMemory")
    assert result.status == "oom"
    assert "limit 360 MiB" in str(result.reason)


def test_a_missing_artifact_becomes_a_row(run_folder: Path):
    [result] = bench(run_folder, one(runtime="onnxruntime", mode="ir"))
    assert result.status == "failed"
    assert "the run has no artifacts/torch/model.onnx; 'twinpose convert" in str(result.reason)
    assert result.artifact_sha256 is None


REFUSED = {"status": "unsupported", "reason": "tensorflow is not installed"}
TRAINED = {"status": "done", "wall_s": 1.0, "command": "twinpose train"}


@pytest.mark.parametrize(
    ("stages", "route"),
    [
        ({"train torch": REFUSED}, None),
        ({"train torch": TRAINED, "convert torch": REFUSED}, None),
        ({"train torch": TRAINED}, {"file": "model.onnx", **REFUSED}),
        ({"train torch": TRAINED}, {"file": "model.onnx", "status": "failed", "reason": "no such operator"}),
    ],
)
def test_a_missing_artifact_has_the_reason_that_the_run_recorded(
    run_folder: Path, stages: dict[str, Any], route: dict[str, str] | None
):
    facts = json.loads((run_folder / "run.json").read_text())
    (run_folder / "run.json").write_text(json.dumps(facts | {"stages": stages}))
    if route:
        other = {"file": "model.xml", "status": "failed", "reason": "another file's"}
        write_json(
            run_folder / "artifacts/torch/conversion.json",
            {"weights_sha256": "0" * 64, "routes": [{"route": "a", **one} for one in (other, route)]},
        )
    [result] = bench(run_folder, one(runtime="onnxruntime", mode="ir"))
    expected = route or REFUSED
    assert (result.status, result.reason) == (expected["status"], expected["reason"])


def test_a_missing_interpreter_becomes_a_row_and_the_next_cell_runs(run_folder: Path):
    block = {"runtime": "torch", "mode": "eager", "scenario": "latency", "batch": 1, "threads": 2}
    other = {**block, "twin": "torch", "runtime": "onnxruntime", "mode": "ir"}
    raw = {"name": "t", "protocol": PROTOCOL, "blocks": [other, {**block, "twin": "torch"}]}
    chosen = matrix.from_dict(raw | {"interpreters": {"onnxruntime": "/no/such/python"}})
    (run_folder / "artifacts/torch").mkdir(parents=True)
    (run_folder / "artifacts/torch/model.onnx").write_bytes(b"")
    failed, after = bench(run_folder, chosen)
    assert (failed.status, after.status) == ("failed", "ok")
    assert str(failed.reason).startswith("cannot start /no/such/python: No such file")


def test_a_cell_runs_in_the_place_that_the_matrix_names(run_folder: Path, tmp_path: Path):
    place = {"env": {"TF_ENABLE_ONEDNN_OPTS": "1", "OMP_NUM_THREADS": "7"}, "folder": str(tmp_path)}
    block = {
        "twin": "torch",
        "runtime": "torch",
        "mode": "eager",
        "scenario": "latency",
        "batch": 1,
        "threads": 2,
    }
    raw = {"name": "t", "protocol": PROTOCOL, "blocks": [block], "interpreters": {"torch": place}}
    [result] = bench(run_folder, matrix.from_dict(raw), "Placed")
    assert (result.status, result.reason) == ("ok", None)
    assert result.effective.items() >= {"folder": str(tmp_path), **place["env"]}.items()


def test_only_what_was_selected_is_measured(run_folder: Path):
    chosen = one(["latency", "throughput"])
    [result] = bench(run_folder, chosen, only="throughput")
    assert result.axes.scenario == "throughput"
    with pytest.raises(UserError, match="selects none of the 2 cells"):
        bench(run_folder, chosen, only="latency and throughput")


def test_the_null_runner_costs_next_to_nothing(run_folder: Path):
    runners = {"torch": "bench.scenarios.null_runner:NullRunner"}
    [result] = measured(run_folder, one(), runners=runners)
    assert result.stats["latency_ms"]["p50"] < 0.1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.json", None, "expected a run folder"),
        ("run.json", "{}", "no run description of schema 1"),
        ("run.json", "[", "is not JSON"),
        ("split.json", "{}", "no split manifest"),
        ("recipe.yaml", "name: x", "model: Field required"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(run_folder: Path, name: str, content: str | None, words: str):
    path = run_folder / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=words):
        bench(run_folder, one())


def test_a_worker_that_was_killed_becomes_a_row_and_the_next_cell_runs(run_folder: Path):
    def kill(name: str, fields: dict[str, Any]) -> None:
        if name == "phase" and fields["phase"] == "load" and "throughput" in fields["id"]:
            request = run_folder / "bench" / "children" / fields["id"] / "request.json"
            children = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
            [worker] = [p for p in children if str(request.parent) in p.cmdline()]
            worker.kill()

    chosen = one(["throughput", "latency"], protocol={"measured_s": 1.0})
    killed, after = bench(run_folder, chosen, on_event=kill)
    assert (killed.status, after.status) == ("failed", "ok")
    assert "killed by SIGKILL" in str(killed.reason)
