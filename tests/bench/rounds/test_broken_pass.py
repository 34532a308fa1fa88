"""A bench that is killed in the middle of a pass over a lane, and the bench that goes on."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benching import TESTS, bench, one

from bench.cells import matrix
from bench.process import launch
from bench.rounds.passes import Session
from bench.run import journal as journal_
from bench.run import results as results_
from bench.run.results import CellResult

HERE = str(Path(__file__).parent)
ROUNDS = 2

pytestmark = [
    # The bench that is killed has children of its own, whatever the one after it does.
    pytest.mark.usefixtures("in_process"),
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="a child dies with its parent on Linux alone"
    ),
]


def lane_of_two() -> matrix.Matrix:
    return one(mode=["eager", "compiled"], protocol={"rounds": ROUNDS, "measured_s": 0.02})


def session_that_begins_with(place: int) -> Session:
    """Return a session in whose first pass the cell at a place of the matrix comes first."""
    members = lane_of_two().cells
    tried = (Session(f"begins with {place}", seed) for seed in itertools.count())
    return next(one for one in tried if one.draw(members[0].lane, 1, members).order[0] == members[place].id)


def kill_in_a_pass(run: Path, after_rounds: int, first: int = 0) -> None:
    """Bench a lane of two; SIGKILL the bench while the round after so many hangs in a query."""
    hang, hanging = (run / "train" / "torch" / name for name in ("hang", "hanging"))
    script = f"""
from pathlib import Path
import sys; sys.path[:0] = [{str(Path(TESTS).parent)!r}, {TESTS!r}, {HERE!r}]
import benching, test_broken_pass
finished = []
def note(name, fields):
    if name == "round_finished":
        finished.append(fields["id"])
        if len(finished) == {after_rounds}:
            Path({str(hang)!r}).touch()
given = {{"on_event": note, "drawn_by": test_broken_pass.session_that_begins_with({first})}}
benching.bench(Path({str(run)!r}), test_broken_pass.lane_of_two(), "HangsWhenAsked", **given)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(launch.ROOT)}
    )
    try:
        deadline = time.monotonic() + 60
        while not hanging.exists():
            assert parent.poll() is None, "the bench ended before its round hung"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.wait()
    hang.unlink()
    hanging.unlink()


def journal(run: Path) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the passes that began, in turn, and the names of those that ended."""
    lines = [json.loads(line) for line in (run / "bench" / journal_.JOURNAL).read_text().splitlines()]
    return [line for line in lines if "order" in line], {line["pass"] for line in lines if "ended" in line}


def on_disk(run: Path) -> tuple[dict[str, list[bytes]], dict[str, bytes]]:
    """Return each cell's rounds, and each file of raw samples, as they are written."""
    rounds = {}
    for path in sorted(results_.folder(run).glob("*.json")):
        raw = json.loads(path.read_bytes())
        rounds[raw["id"]] = [json.dumps(made).encode() for made in raw["rounds"]]
    samples = {str(path.relative_to(run)): path.read_bytes() for path in results_.folder(run).rglob("*.npz")}
    return rounds, samples


def require_kept(before: tuple[dict[str, Any], dict[str, bytes]], run: Path) -> None:
    """Assert that every round and every file of raw samples is what it was."""
    rounds, samples = on_disk(run)
    for cell, earlier in before[0].items():
        assert rounds[cell][: len(earlier)] == earlier
    assert {name: samples.get(name) for name in before[1]} == before[1]


def whole_rounds(result: CellResult, whole: set[str]) -> set[str]:
    return {made.pass_ for made in result.rounds} & whole


def test_every_cell_that_was_due_in_a_broken_pass_gets_a_whole_one_more(run_folder: Path):
    """The first cell's round of the second pass is finished when the bench dies in the other's."""
    kill_in_a_pass(run_folder, 3)
    began, whole = journal(run_folder)
    broken = began[-1]
    assert (len(began), len(whole)) == (2, 1)
    first, second = broken["order"]
    before = on_disk(run_folder)
    assert {cell: len(made) for cell, made in before[0].items()} == {first: 2, second: 1}
    assert len(before[1]) == 3

    results = {result.id: result for result in bench(run_folder, lane_of_two(), "HangsWhenAsked")}
    require_kept(before, run_folder)
    began, whole = journal(run_folder)
    assert broken["pass"] not in whole
    assert {result.status for result in results.values()} == {"ok"}
    for result in results.values():
        assert len(whole_rounds(result, whole)) >= ROUNDS
        assert [made.number for made in result.rounds] == list(range(1, len(result.rounds) + 1))
        assert len(results_.samples(run_folder, result)["latency_ns"]) == sum(r.count for r in result.rounds)
    for a, b in itertools.combinations(results.values(), 2):
        assert len(whole_rounds(a, whole) & whole_rounds(b, whole)) >= ROUNDS
    # What the broken pass has left is no round of the other cell's, and stays.
    held = {cell: [made.pass_ for made in result.rounds] for cell, result in results.items()}
    assert (held[first].count(broken["pass"]), held[second].count(broken["pass"])) == (1, 0)
    assert (len(held[first]), len(held[second])) == (ROUNDS + 1, ROUNDS)

    # What is mended is not due again.
    mended = on_disk(run_folder)
    bench(run_folder, lane_of_two(), "HangsWhenAsked")
    assert (on_disk(run_folder), journal(run_folder)) == (mended, (began, whole))


def test_rounds_of_two_broken_passes_are_no_pairs_and_two_whole_passes_follow(run_folder: Path):
    """Each cell has a round of a pass that the other lacks: by count alone one more pass would do."""
    kill_in_a_pass(run_folder, 1, first=0)
    earlier = on_disk(run_folder)
    kill_in_a_pass(run_folder, 1, first=1)
    require_kept(earlier, run_folder)
    left = on_disk(run_folder)
    assert [len(left[0][cell.id]) for cell in lane_of_two().cells] == [1, 1]
    a, b = bench(run_folder, lane_of_two(), "HangsWhenAsked")
    require_kept(left, run_folder)
    began, whole = journal(run_folder)
    assert (len(began), len(whole)) == (2 + ROUNDS, ROUNDS)
    assert whole_rounds(a, whole) == whole_rounds(b, whole) == whole
