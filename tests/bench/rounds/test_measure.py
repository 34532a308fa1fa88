"""Cells over a run folder, in real processes, with runners that need no framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from benching import PROTOCOL, TESTS, bench, measured, one

from bench.cells import matrix, runtimes
from bench.machine import fingerprint
from bench.process import environment, launch
from bench.rounds import noise_pair
from bench.rounds.passes import Session
from bench.run import journal
from bench.run import results as results_
from bench.run.results import CellResult
from bench.scenarios import watch
from bench.statistics import validity
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


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("content", ["", "[1, 2", "{}", '{"schema": 1, "id": "x"}'])
def test_a_damaged_cell_is_measured_again(run_folder: Path, content: str):
    [first] = bench(run_folder, one())
    path = results_.folder(run_folder) / f"{first.id}.json"
    path.write_text(content)
    [again] = bench(run_folder, one())
    assert again.status == "ok"
    assert results_.cells(run_folder) == [again]


def test_a_finished_cell_is_not_measured_again_until_something_that_decides_it_changes(run_folder: Path):
    heard: list[tuple[str, dict[str, Any]]] = []

    def skipped(chosen: matrix.Matrix) -> bool:
        heard.clear()
        bench(run_folder, chosen, on_event=lambda name, fields: heard.append((name, fields)))
        return bool(heard[-1][1]["skipped"])

    assert not skipped(one())
    assert [name for name, _ in heard][:2] == ["pass_started", "cell_started"]
    assert {"import", "load", "first"} <= {fields.get("phase") for name, fields in heard if name == "phase"}
    assert skipped(one())
    assert skipped(one(protocol={"timeout_s": 61}))
    assert not skipped(one(protocol={"measured_s": 0.11}))
    (run_folder / "train/torch/best.safetensors").write_bytes(b"other weights")
    assert not skipped(one(protocol={"measured_s": 0.11}))


@pytest.mark.usefixtures("in_process")
def test_a_failed_cell_is_tried_again(run_folder: Path):
    [failed] = bench(run_folder, one(), "Raises")
    [mended] = bench(run_folder, one())
    assert (failed.status, mended.status) == ("failed", "ok")
    assert failed.hash == mended.hash


def shared(results: list[CellResult]) -> int:
    """Return how many passes all of some cells had a round in."""
    first, *others = [{one.pass_ for one in result.rounds} for result in results]
    return len(first.intersection(*others))


@pytest.mark.usefixtures("in_process")
def test_a_cell_that_joins_a_measured_lane_shares_its_passes(run_folder: Path):
    [alone] = bench(run_folder, one(protocol={"rounds": 2}))
    both = one(mode=["eager", "compiled"], protocol={"rounds": 2})
    finished: list[str] = []

    def hear(name: str, fields: dict[str, Any]) -> None:
        finished.extend([fields["id"]] if name == "cell_finished" else [])

    results = bench(run_folder, both, on_event=hear)
    assert results[0].rounds[:2] == alone.rounds, "what was measured is kept"
    assert [len(result.rounds) for result in results] == [4, 2]
    assert shared(results) == 2
    assert sorted(finished) == sorted(result.id for result in results), "each is told once"
    assert bench(run_folder, both) == results, "and then nothing is due"


@pytest.mark.usefixtures("in_process")
def test_a_cell_that_failed_before_is_tried_alone_first(run_folder: Path):
    block = {"twin": "torch", "mode": "eager", "scenario": "latency", "batch": 1, "threads": 2}
    broken = {**block, "runtime": "onnxruntime", "mode": "ir"}
    raw = {"name": "t", "protocol": {**PROTOCOL, "rounds": 2}}
    chosen = matrix.from_dict(raw | {"blocks": [broken, {**block, "runtime": "torch"}]})
    first = bench(run_folder, chosen)
    assert [(one.status, len(one.rounds)) for one in first] == [("failed", 0), ("ok", 2)]
    assert bench(run_folder, chosen) == first, "the other cell is not measured for it"
    (run_folder / "artifacts/torch").mkdir(parents=True)
    (run_folder / "artifacts/torch/model.onnx").write_bytes(b"")
    mended = bench(run_folder, chosen)
    assert [one.status for one in mended] == ["ok", "ok"]
    assert shared(mended) == 2


@pytest.mark.usefixtures("in_process")
def test_a_round_that_was_measured_alone_is_no_pair(run_folder: Path):
    """A worker killed in its last round is first tried alone; then it still lacks a pair."""
    both = one(mode=["eager", "compiled"], protocol={"rounds": 2, "measured_s": 0.02})
    first = bench(run_folder, both)
    assert shared(first) == 2
    killed = msgspec.structs.replace(first[0], status="failed", reason="killed", rounds=first[0].rounds[:1])
    results_.save(run_folder, killed)
    mended = bench(run_folder, both)
    assert [one.status for one in mended] == ["ok", "ok"]
    assert shared(mended) == 2
    assert [len(one.rounds) for one in mended] == [3, 3], "one alone, then one together"
    assert bench(run_folder, both) == mended


@pytest.mark.usefixtures("in_process")
def test_a_cell_that_failed_beyond_its_rounds_is_tried_again(run_folder: Path):
    [good] = bench(run_folder, one(protocol={"rounds": 2}))
    results_.save(run_folder, msgspec.structs.replace(good, status="oom", reason="used too much"))
    [again] = bench(run_folder, one(protocol={"rounds": 2}))
    assert (again.status, len(again.rounds)) == ("ok", 3)


@pytest.mark.usefixtures("in_process")
def test_an_upgraded_runtime_is_measured_anew(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    [before] = bench(run_folder, one())
    versions = runtimes.versions()
    monkeypatch.setattr(runtimes, "versions", lambda: {**versions, "torch": "0.0", "tensorflow": "0.0"})
    [after] = bench(run_folder, one())
    assert after.hash != before.hash
    assert [line.pass_ for line in after.rounds] != [line.pass_ for line in before.rounds]
    monkeypatch.setattr(runtimes, "versions", lambda: {**versions, "torch": "0.0", "tensorflow": "1.0"})
    assert bench(run_folder, one()) == [after], "another runtime's version decides nothing"


@pytest.mark.usefixtures("in_process")
def test_a_cell_says_where_its_stopping_rule_first_looked(run_folder: Path):
    [stopped] = bench(run_folder, one(protocol={"rounds": 2, "rounds_max": 3, "half_width": 1e9}))
    assert results_.read(results_.folder(run_folder) / f"{stopped.id}.json").first_look == 2
    [fixed] = bench(run_folder, one(protocol={"measured_s": 0.2}))
    assert fixed.first_look is None


def test_a_failed_cell_has_no_samples_of_another_protocol(run_folder: Path):
    [good] = bench(run_folder, one())
    [failed] = bench(run_folder, one(protocol={"measured_s": 0.2}), "Raises")
    assert results_.samples(run_folder, failed) == {}
    assert len(results_.samples(run_folder, good)["latency_ns"]) == good.stats["n"], "of another protocol"


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


def passes_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "bench" / journal.JOURNAL).read_text().splitlines()]
    return [line for line in lines if "order" in line]


@pytest.mark.usefixtures("in_process")
def test_rounds_of_a_lane_are_interleaved_in_an_order_that_is_drawn_and_recorded(run_folder: Path):
    runs: list[str] = []

    def note(name: str, fields: dict[str, Any]) -> None:
        if name == "round_finished":
            runs.append(fields["id"])

    chosen = lane_of_three(rounds=6)
    drawn_by = Session("here", seed=5)
    results = bench(run_folder, chosen, on_event=note, drawn_by=drawn_by)
    recorded = passes_of(run_folder)
    assert [cell for line in recorded for cell in line["order"]] == runs
    assert len(recorded) == 6
    assert all(sorted(line["order"]) == sorted(cell.id for cell in chosen.cells) for line in recorded)
    assert len({tuple(line["order"]) for line in recorded}) > 1
    for number, line in enumerate(recorded, 1):
        again = Session("elsewhere", seed=line["seed"]).draw(chosen.cells[0].lane, number, chosen.cells)
        assert list(again.order) == line["order"]
    assert {tuple(one.pass_ for one in result.rounds) for result in results} == {
        tuple(line["pass"] for line in recorded)
    }
    assert [one.number for one in results[0].rounds] == [1, 2, 3, 4, 5, 6]


def lane_of_three(rounds: int, **protocol: Any) -> matrix.Matrix:
    """Return a matrix of one lane: torch eager, torch compiled and ONNX Runtime's place."""
    chosen = one(mode=["eager", "compiled"], protocol={"rounds": rounds, "measured_s": 0.02, **protocol})
    pair = noise_pair.noise_pair(chosen.cells)
    assert pair is not None
    return replace(chosen, cells=(*chosen.cells, pair[1]))


@pytest.mark.usefixtures("in_process")
def test_more_rounds_are_added_to_those_that_are_there(run_folder: Path):
    bench(run_folder, one(protocol={"rounds": 2}))
    [more] = bench(run_folder, one(protocol={"rounds": 3}))
    assert [one.number for one in more.rounds] == [1, 2, 3]
    assert len(results_.samples(run_folder, more)["latency_ns"]) == sum(one.count for one in more.rounds)
    assert more.validity.verdict in {"VALID", "FLAGGED", "INVALID"}
    [kept] = bench(run_folder, one(protocol={"rounds": 2}))
    assert kept == more


@pytest.mark.usefixtures("in_process")
def test_again_forgets_what_was_there(run_folder: Path):
    [first] = bench(run_folder, one(protocol={"rounds": 2}))
    [again] = bench(run_folder, one(protocol={"rounds": 2}), again=True)
    assert len(again.rounds) == 2
    assert {r.pass_ for r in first.rounds}.isdisjoint(r.pass_ for r in again.rounds)


@pytest.mark.usefixtures("in_process")
def test_a_stopping_rule_adds_rounds_until_every_interval_is_narrow_enough(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    # An invalid cell is hopeless and stops the rule: a busy machine must not decide this test.
    monkeypatch.setattr(validity, "cell_validity", lambda *_: validity.Validity())

    def rounds(half_width: float) -> set[int]:
        chosen = lane_of_three(rounds=2, rounds_max=4, half_width=half_width)
        results = bench(run_folder, chosen, again=True)
        return {len(result.rounds) for result in results}

    assert rounds(half_width=1e-9) == {4}
    assert rounds(half_width=1e9) == {2}


@pytest.mark.usefixtures("in_process")
def test_a_failure_in_a_later_round_keeps_the_earlier_ones(run_folder: Path):
    bench(run_folder, one(protocol={"rounds": 2}))
    [failed] = bench(run_folder, one(protocol={"rounds": 3}), "Raises")
    assert failed.status == "failed"
    assert len(failed.rounds) == 2
    [mended] = bench(run_folder, one(protocol={"rounds": 3}))
    assert mended.status == "ok"
    assert [one.number for one in mended.rounds] == [1, 2, 3]


@pytest.mark.usefixtures("in_process")
def test_lanes_follow_each_other_and_a_replica_stands_in_its_own_lane(run_folder: Path):
    chosen = one(["latency", "throughput"], protocol={"rounds": 2})
    bench(run_folder, chosen)
    assert [line["lane"].rpartition("-")[2] for line in passes_of(run_folder)] == [
        *("latency", "latency"),
        *("throughput", "throughput"),
    ]


def start_a_bench_that_hangs(run: Path) -> subprocess.Popen[bytes]:
    """Return a process that has measured throughput and hangs in the latency cell."""
    script = f"""
from pathlib import Path
import sys; sys.path.insert(0, {str(Path(TESTS).parent)!r})
import benching as t
t.bench(Path({str(run)!r}), t.one(["throughput", "latency"]), "Hangs")
"""
    env = os.environ | {"PYTHONPATH": str(launch.ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script], env=env)
    running = run / "bench" / "children" / one("latency").cells[0].id / "events.jsonl"
    deadline = time.monotonic() + 30
    while not running.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="a child dies with its parent on Linux alone"
)
def test_a_bench_that_was_killed_goes_on_where_it_stopped(run_folder: Path):
    parent = start_a_bench_that_hangs(run_folder)
    parent.kill()
    parent.wait()
    chosen = one(["throughput", "latency"])
    first, second = chosen.cells
    assert [result.id for result in results_.cells(run_folder) if result.status == "ok"] == [first.id]
    heard: list[tuple[str, bool]] = []

    def note(name: str, fields: dict[str, Any]) -> None:
        if name == "cell_finished":
            heard.append((fields["id"], fields["skipped"]))

    bench(run_folder, chosen, on_event=note)
    assert heard == [(first.id, True), (second.id, False)]


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
