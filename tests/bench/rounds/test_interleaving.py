"""Rounds of a lane take turns in passes, until its stopping rule is content."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benching import bench, one

from bench.cells import matrix
from bench.rounds import noise_pair
from bench.rounds.passes import Session
from bench.run import journal
from bench.run import results as results_
from bench.statistics import validity


@pytest.mark.usefixtures("in_process")
def test_a_cell_says_where_its_stopping_rule_first_looked(run_folder: Path):
    [stopped] = bench(run_folder, one(protocol={"rounds": 2, "rounds_max": 3, "half_width": 1e9}))
    assert results_.read(results_.folder(run_folder) / f"{stopped.id}.json").first_look == 2
    [fixed] = bench(run_folder, one(protocol={"measured_s": 0.2}))
    assert fixed.first_look is None


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
def test_a_stopping_rule_adds_rounds_until_every_interval_is_narrow_enough(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    # An invalid cell is hopeless and stops the rule: a busy machine must not decide this test.
    monkeypatch.setattr(validity, "cell_validity", lambda *_: validity.Validity())

    def rounds(half_width: float) -> list[int]:
        chosen = lane_of_three(rounds=2, rounds_max=4, half_width=half_width)
        results = bench(run_folder, chosen, again=True)
        return [len(result.rounds) for result in results]

    assert rounds(half_width=1e-9) == [4, 4, 4]
    assert rounds(half_width=1e9) == [2, 2, 2]


@pytest.mark.usefixtures("in_process")
def test_lanes_follow_each_other_and_a_replica_stands_in_its_own_lane(run_folder: Path):
    chosen = one(["latency", "throughput"], protocol={"rounds": 2})
    bench(run_folder, chosen)
    assert [line["lane"].rpartition("-")[2] for line in passes_of(run_folder)] == [
        *("latency", "latency"),
        *("throughput", "throughput"),
    ]
