"""Interleaving: orders that a seed repeats, and a journal that survives a killed bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benching import one
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.rounds import passes
from bench.rounds.passes import Session
from bench.run import journal as journal_
from bench.run import results
from bench.run.results import CellResult, Round
from pose.files import write_arrays

CELLS = tuple(Cell("torch", "torch", "eager", "fp32", "cpu", b, 1, "glibc", "latency") for b in range(1, 7))
LANE = CELLS[0].lane


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.permutations(CELLS))
def test_an_order_is_a_permutation_that_seed_lane_and_number_repeat(
    seed: int, number: int, given_order: list[Cell]
):
    drawn = Session("one", seed).draw(LANE, number, given_order)
    assert sorted(drawn.order) == sorted(cell.id for cell in CELLS)
    assert drawn.order == Session("two", seed).draw(LANE, number, CELLS).order


def test_every_place_in_the_order_is_as_likely():
    drawn_by, counts = Session("one", 7), dict.fromkeys((cell.id for cell in CELLS), 0)
    for number in range(3000):
        counts[drawn_by.draw(LANE, number, CELLS).order[0]] += 1
    assert all(400 < count < 600 for count in counts.values())


def test_lanes_keep_the_order_of_the_matrix():
    chosen = one(["throughput", "latency"], mode=["eager", "compiled"]).cells
    lanes = passes.lanes(chosen)
    assert [lane.scenario for lane in lanes] == [chosen[0].scenario, chosen[1].scenario]
    assert sorted(c.id for members in lanes.values() for c in members) == sorted(c.id for c in chosen)


def a_pass(tmp_path: Path, number: int, *, ended: bool) -> str:
    drawn = Session("here", 1).draw(LANE, number, CELLS)
    journal_.begin(tmp_path, drawn)
    if ended:
        journal_.end(tmp_path, drawn)
    return drawn.id


def result(*pass_ids: str) -> CellResult:
    rounds = [
        Round(phases_s={}, count=1, wall_s=1.0, started="", number=n, pass_=p)
        for n, p in enumerate(pass_ids, 1)
    ]
    return CellResult(
        id=CELLS[0].id, status="ok", reason=None, axes=CELLS[0], hash="", artifact_sha256=None,
        split_sha256="", rounds=rounds, command="",
    )  # fmt: skip


def test_a_round_of_a_broken_pass_stays_but_does_not_count(tmp_path: Path):
    assert journal_.broken(journal_.passes(tmp_path)) == set()
    whole, broken = a_pass(tmp_path, 1, ended=True), a_pass(tmp_path, 2, ended=False)
    found = journal_.broken(journal_.passes(tmp_path))
    assert found == {broken}
    assert whole not in found


@pytest.mark.parametrize("torn", ['{"pass": "x", "ord', "[1]\n", "\n\n", "null\n"])
def test_a_torn_line_of_the_journal_swallows_nothing(tmp_path: Path, torn: str):
    whole = a_pass(tmp_path, 1, ended=True)
    journal = tmp_path / "bench" / journal_.JOURNAL
    with open(journal, "a", encoding="utf-8") as handle:
        handle.write(torn)
    broken = a_pass(tmp_path, 2, ended=False)
    assert journal_.broken(journal_.passes(tmp_path)) == {broken}
    assert whole != broken
    lines = [line for line in journal.read_text().splitlines() if "order" in line and line.endswith("}")]
    assert json.loads(lines[-1])["order"] == list(Session("here", 1).draw(LANE, 2, CELLS).order)


def test_a_cell_in_a_broken_pass_keeps_its_raw_samples(tmp_path: Path):
    import numpy as np

    write_arrays(results.samples_path(tmp_path, CELLS[0].id, 1), {"latency_ns": np.arange(3)})
    write_arrays(results.samples_path(tmp_path, CELLS[0].id, 2), {"latency_ns": np.arange(3, 5)})
    found = results.samples(tmp_path, result("a", "b"))
    np.testing.assert_array_equal(found["latency_ns"], np.arange(5))
