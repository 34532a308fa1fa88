"""Which lanes go on after their first rounds: until each pair is decided or known, and with --more beyond."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import run_folders
from benching import bench, one

from bench.cells import filter as filter_
from bench.cells import matrix
from bench.cells.cell import Cell
from bench.cells.protocol import MOST_ROUNDS
from bench.parity import gate
from bench.rounds.plan import OPEN, Agenda, Basis, plan
from bench.run import artifacts, folder
from bench.run.bench_file import SessionRecord
from bench.run.results import CellResult
from bench.run.set_aside import StoredCell
from bench.statistics.validity import Validity
from bench.verdicts import cell_figures, comparisons, open_pairs

QUICK = matrix.from_dict(
    {
        "name": "t",
        "protocol": {"profile": "quick"},
        "blocks": [
            {"twin": "torch", "scenario": "latency", "batch": 1, "threads": 2, **runtime}
            for runtime in (
                {"runtime": "torch", "mode": "eager"},
                {"runtime": "onnxruntime", "mode": "ir"},
                {"runtime": "openvino", "mode": "ir"},
            )
        ],
    }
)
TORCH, ONNX, OPENVINO = QUICK.cells
AGAIN = replace(TORCH, replica=1)
LANE = TORCH.lane


def values(ms: float, rounds: int, sigma: float, seed: int) -> list[float]:
    """Return the figures of rounds whose logs have exactly this mean and deviation."""
    logs = np.random.default_rng(seed).standard_normal(rounds)
    logs = (logs - logs.mean()) / logs.std(ddof=1) * sigma
    return [float(ms * math.exp(log)) for log in logs]


def rows(ms: Sequence[float], rounds: int, sigma: float, again: bool = False) -> dict[str, CellResult]:
    """Return the lane's cells as measured; the first arm has no scatter of its own."""
    cells = [*QUICK.cells[: len(ms)], *([AGAIN] if again else [])]
    each = [*ms, *([ms[0]] if again else [])]
    found = (
        run_folders.result(
            cell, values(base, rounds, sigma if seed else 0.0, seed), hash=cell.id, first_look=4
        )
        for seed, (cell, base) in enumerate(zip(cells, each, strict=True))
    )
    return {cell.id: cell for cell in found}


def agenda(
    known: dict[str, CellResult], tmp_path: Path, others: Sequence[CellResult] = (), **given: Any
) -> Agenda:
    """Return the agenda of a quick bench of cells that are stored so."""
    cells = tuple(cell.axes for cell in known.values())
    asked = replace(QUICK, cells=cells)
    run = folder.RunFolder(tmp_path, None, None)  # type: ignore[arg-type]
    hashes = {artifacts.artifact(tmp_path, cell): "a" * 64 for cell in cells}
    basis = Basis(
        run, asked, gate.Gate(tmp_path, None), "s" * 64, hashes, {cell.id: cell.id for cell in cells}
    )
    made = plan(basis, {name: StoredCell(cell) for name, cell in known.items()}, uncertified=True)
    return Agenda(made, frozenset(), set(), others, **given)


def due(known: dict[str, CellResult], tmp_path: Path, **given: Any) -> set[Cell]:
    found = agenda(known, tmp_path, **given).due(LANE)
    assert set(found.values()) <= {OPEN}
    return set(found)


@pytest.mark.parametrize(
    ("ms", "rounds", "sigma", "goes_on"),
    [
        ((5.0, 10.0, 20.0), 4, 0.02, False),
        ((5.0, 10.0, 20.0), 4, 0.08, False),
        ((5.0, 9.5, 10.5), 4, 0.4, True),
        ((5.0, 10.0, 10.1), 4, 0.01, False),
        ((5.0, 10.0, 10.5), 10, 0.08, False),
    ],
)
def test_a_lane_goes_on_until_each_pair_is_decided_or_known_within_5_percent_ten_passes_at_most(
    tmp_path: Path, ms: tuple[float, ...], rounds: int, sigma: float, goes_on: bool
) -> None:
    known = rows(ms, rounds, sigma)
    assert due(known, tmp_path) == (set(QUICK.cells) if goes_on else set())
    assert agenda(known, tmp_path).first_look == 4


def test_who_is_decided_against_all_others_waits_for_no_open_pair(tmp_path: Path) -> None:
    known = rows((5.0, 10.0, 10.5), 4, 0.08)
    assert due(known, tmp_path) == {ONNX, OPENVINO}
    alike = rows((5.0, 10.0, 20.0), 4, 0.08, again=True)
    assert due(alike, tmp_path) == {TORCH, AGAIN}, "the noise floor alone is not known"


def spoiled(row: CellResult, bad: int) -> CellResult:
    """Return a cell of which the first rounds are INVALID."""
    wide = Validity("INVALID", ["IQR is 30.0% of the median"])
    rounds = [
        msgspec.structs.replace(one, validity=wide if place < bad else Validity())
        for place, one in enumerate(row.rounds)
    ]
    return msgspec.structs.replace(row, rounds=rounds, validity=cell_figures.validity(rounds, len(rounds)))


@pytest.mark.parametrize(
    ("rounds", "bad", "goes_on"), [(4, 1, False), (4, 2, True), (4, 4, True), (5, 5, False), (10, 5, False)]
)
def test_a_lane_goes_on_while_a_cell_that_is_invalid_may_yet_be_ranked(
    tmp_path: Path, rounds: int, bad: int, goes_on: bool
) -> None:
    """What a noisy start has spoiled gets the passes that the protocol has; what cannot recover, none."""
    known = rows((5.0, 10.0), rounds, 0.02)
    known[ONNX.id] = spoiled(known[ONNX.id], bad)
    assert due(known, tmp_path) == ({TORCH, ONNX} if goes_on else set())


def test_a_pair_that_is_invalid_is_named_with_what_measures_its_lane_anew() -> None:
    known = rows((5.0, 10.0), 10, 0.02)
    known[ONNX.id] = spoiled(known[ONNX.id], 5)
    sessions = [SessionRecord("pass", asks=("--matrix", "m", "-k", "torch or onnxruntime"))]
    left = open_pairs.outlook(known.values(), comparisons.compare_lanes(known.values()), sessions)
    command = "twinpose bench RUN --matrix m -k fp32-cpu-b1-t2-glibc-latency --again"
    assert left.text("twinpose bench RUN") == [
        f"1 pair open, for a cell is INVALID; on a quieter machine: {command}"
    ]
    assert set(filter_.select(QUICK.cells, "fp32-cpu-b1-t2-glibc-latency")) == set(QUICK.cells)


def test_each_pair_is_looked_at_by_the_rounds_that_it_shares_itself(tmp_path: Path) -> None:
    """A pair at its last look is not looked at again because a new arm is at its first."""
    known = rows((5.0, 5.2, 30.0), 10, 0.08)
    assert due(known, tmp_path) == set(), "ten rounds, and open"
    known[OPENVINO.id] = run_folders.result(OPENVINO, values(10.5, 4, 0.08, 9), hash=OPENVINO.id)
    assert due(known, tmp_path) == set(), "the new arm is far from both"
    known[OPENVINO.id] = run_folders.result(OPENVINO, values(5.2, 4, 0.08, 9), hash=OPENVINO.id)
    assert due(known, tmp_path) == set(QUICK.cells), "the new arm is near"


def test_a_pair_must_be_decided_among_all_pairs_of_the_run(tmp_path: Path) -> None:
    """What is clear among three pairs is not among three hundred."""
    known = rows((5.0, 7.5), 4, 0.08)
    assert due(known, tmp_path) == set()
    batches = (replace(cell, batch=batch) for batch in range(2, 102) for cell in QUICK.cells)
    others = [run_folders.result(cell, [1.0]) for cell in batches]
    assert agenda(known, tmp_path, others).family == 301
    assert due(known, tmp_path, others=others) == {TORCH, ONNX}


def test_equal_arms_are_never_decided_only_known(tmp_path: Path) -> None:
    """A cell and itself, apart by chance: the noise floor goes on until it is narrow."""
    known = rows((5.0,), 4, 0.08, again=True)
    known[AGAIN.id] = run_folders.result(AGAIN, values(50.0, 4, 0.08, 1), hash=AGAIN.id)
    assert due(known, tmp_path) == {TORCH, AGAIN}
    known[AGAIN.id] = run_folders.result(AGAIN, values(50.0, 4, 0.01, 1), hash=AGAIN.id)
    assert due(known, tmp_path) == set()


def test_more_measures_on_where_a_pair_is_open_until_it_is_decided(tmp_path: Path) -> None:
    ms = (5.0, 10.0, 10.5)
    known = rows(ms, 10, 0.08)
    assert due(known, tmp_path) == set()
    assert due(known, tmp_path, more=True) == {ONNX, OPENVINO}
    begun = agenda(known, tmp_path, more=True)
    [(pair, asked)] = begun.asked.items()
    assert pair == (OPENVINO.id, ONNX.id)
    upto = asked.rounds + asked.passes
    for rounds, goes_on in ((upto - 1, {ONNX, OPENVINO}), (upto, set())):
        begun.rows |= rows(ms, rounds, 0.2)
        assert set(begun.due(LANE)) == goes_on, "as many passes as were said, where they do not decide"
    begun.rows |= rows(ms, asked.rounds + 1, 0.01)
    assert begun.due(LANE) == {}, "nor beyond what decides"


@pytest.mark.parametrize(
    ("ms", "rounds", "sigma"),
    [((5.0, 10.0), 10, 0.02), ((5.0, 5.01), 10, 0.1), ((5.0, 5.3), MOST_ROUNDS, 0.1)],
)
def test_more_does_nothing_for_what_is_decided_or_cannot_be_in_reason(
    tmp_path: Path, ms: tuple[float, ...], rounds: int, sigma: float
) -> None:
    assert due(rows(ms, rounds, sigma), tmp_path, more=True) == set()


def outlook(known: dict[str, CellResult]) -> open_pairs.Outlook:
    return open_pairs.outlook(known.values(), comparisons.compare_lanes(known.values()))


def test_what_is_open_says_what_it_would_cost() -> None:
    known = rows((5.0, 10.0, 10.5), 10, 0.08)
    found = outlook(known)
    [pair] = found.pairs
    assert (pair.a, pair.b, pair.rounds, pair.in_reason) == (OPENVINO.id, ONNX.id, 10, True)
    passes = found.passes[LANE.id]
    assert 1 <= passes <= 20
    # A pass is a round of each of the two cells, 11 s each.
    assert found.seconds == passes * 22
    said = f"about {passes} more passes, {round(found.seconds / 60)} minutes: twinpose bench RUN --more"
    assert found.text("twinpose bench RUN") == [f"1 pair open; {said}"]


def test_a_pair_that_cannot_be_decided_in_reason_is_said_to_be_equal_within_sight() -> None:
    found = outlook(rows((5.0, 5.01), 10, 0.04))
    [pair] = found.pairs
    assert not pair.in_reason
    assert found.passes == {}
    assert found.text("more") == [
        f"1 pair differs by {pair.within:.1%} at most, if at all: {MOST_ROUNDS} rounds would not tell more"
    ]


def test_a_pair_is_measured_on_by_what_measured_it_last_and_by_no_narrower_selection() -> None:
    known = rows((5.0, 10.0, 10.5), 10, 0.08)
    sessions = [
        SessionRecord("pass", asks=("--matrix", "compiled")),
        SessionRecord("later", asks=("-k", "x")),
    ]
    found = comparisons.compare_lanes(known.values())

    def commands(uncertified: Sequence[str] = ()) -> list[str]:
        return list(open_pairs.outlook(known.values(), found, sessions, uncertified).commands)

    assert commands() == ["--matrix compiled --more"]
    assert commands([ONNX.id]) == ["--matrix compiled --uncertified --more"], "it is barred otherwise"
    assert commands([TORCH.id]) == ["--matrix compiled --more"], "another cell's certificate is no matter"
    for name, value in ((ONNX.id, 10.0), (OPENVINO.id, 10.5)):
        last = msgspec.structs.replace(known[name].rounds[-1], pass_="later/lane/1", value=value)
        known[name] = msgspec.structs.replace(known[name], rounds=[*known[name].rounds, last])
    assert commands() == ["-k x --more"]


def test_pairs_of_two_benches_have_a_command_each() -> None:
    pair = open_pairs.OpenPair("lane", "a", "b", rounds=10, counting=10, needed=12.0, family=3.0, within=0.08)
    other = replace(pair, lane="another", asks=("-k", "throughput and b4"))
    left = open_pairs.Outlook((pair, other, replace(other, a="c")), {"lane": 10.0, "another": 5.0})
    assert left.text("twinpose bench RUN") == [
        "1 pair open; about 2 more passes, 20 s: twinpose bench RUN --more",
        "2 pairs open; about 2 more passes, 10 s: twinpose bench RUN -k 'throughput and b4' --more",
    ]


def test_where_all_is_decided_or_nothing_may_be_nothing_is_open() -> None:
    assert outlook(rows((5.0, 10.0, 20.0), 4, 0.02)).text("more") == []
    known = rows((5.0, 10.0, 10.5), 10, 0.08)
    found = comparisons.withheld(comparisons.compare_lanes(known.values()), "the run is INVALID")
    assert open_pairs.outlook(known.values(), found).pairs == ()


@pytest.mark.usefixtures("in_process")
def test_rounds_that_more_adds_pay_for_looking_even_where_the_number_was_fixed(run_folder: Path) -> None:
    chosen = one(protocol={"rounds": 2, "measured_s": 0.02})
    [fixed] = bench(run_folder, chosen)
    assert fixed.first_look is None
    [kept] = bench(run_folder, one(protocol={"rounds": 3, "measured_s": 0.02}), more=True)
    assert kept.first_look == 3
    [later] = bench(run_folder, one(protocol={"rounds": 4, "measured_s": 0.02}))
    assert later.first_look == 3, "what was looked at stays paid for"

    [single] = bench(run_folder, one(protocol={"rounds": 1, "measured_s": 0.02}), more=True, again=True)
    assert single.first_look == 2, "after one round there is nothing to look at"
