"""Which cells of a run folder are measured again, which are kept, and whose rounds are pairs then."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benching import PROTOCOL, TESTS, bench, one

from bench.cells import matrix, runtimes
from bench.process import launch
from bench.run import results as results_
from bench.run.results import CellResult


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


def test_a_failed_cell_has_no_samples_of_another_protocol(run_folder: Path):
    [good] = bench(run_folder, one())
    [failed] = bench(run_folder, one(protocol={"measured_s": 0.2}), "Raises")
    assert results_.samples(run_folder, failed) == {}
    assert len(results_.samples(run_folder, good)["latency_ns"]) == good.stats["n"], "of another protocol"


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
def test_a_failure_in_a_later_round_keeps_the_earlier_ones(run_folder: Path):
    bench(run_folder, one(protocol={"rounds": 2}))
    [failed] = bench(run_folder, one(protocol={"rounds": 3}), "Raises")
    assert failed.status == "failed"
    assert len(failed.rounds) == 2
    [mended] = bench(run_folder, one(protocol={"rounds": 3}))
    assert mended.status == "ok"
    assert [one.number for one in mended.rounds] == [1, 2, 3]


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
