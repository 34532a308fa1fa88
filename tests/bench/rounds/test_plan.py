"""What is due and why, and what a bench comes to, from records alone: no process, and no file written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import run_folders
from benching import bench, one
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.parity import gate
from bench.rounds import close
from bench.rounds.plan import BESIDE, LACKS, OPEN, Agenda, Basis, Plan, plan
from bench.run import artifacts, folder, results
from bench.run.bench_file import BenchFile
from bench.run.results import CellResult
from bench.run.set_aside import StoredCell

ROUNDS = 3
LANE = one(mode=["eager", "compiled"], protocol={"rounds": ROUNDS})
EAGER, COMPILED = LANE.cells


@pytest.fixture(scope="module")
def basis(tmp_path_factory: pytest.TempPathFactory) -> Basis:
    """Return what decides the rounds of a run that has no file but these records."""
    path = tmp_path_factory.mktemp("run")
    run = folder.RunFolder(path, None, None)  # type: ignore[arg-type]
    hashes = {artifacts.artifact(path, cell): "a" * 64 for cell in LANE.cells}
    keys = {cell.id: f"the key of {cell.id}" for cell in (*LANE.cells, replace(EAGER, replica=1))}
    return Basis(run, LANE, gate.Gate(path, None), "s" * 64, hashes, keys)


def stored(basis: Basis, cell: Cell, rounds: int, **patch: Any) -> CellResult:
    """Return a cell with rounds that share passes with those of any other cell."""
    found = run_folders.result(cell, [5.0 + n / 100 for n in range(rounds)], hash=basis.keys[cell.id])
    return msgspec.structs.replace(found, protocol={"profile": "standard"}, **patch)


def planned(basis: Basis, **known: CellResult | StoredCell) -> Plan:
    """Return the plan of a bench of the lane, where `eager` and `compiled` are stored as given."""
    cells = {"eager": EAGER, "compiled": COMPILED}
    whole = {cells[k].id: v if isinstance(v, StoredCell) else StoredCell(v) for k, v in known.items()}
    return plan(basis, whole, uncertified=True)


def due(made: Plan, broken: frozenset[str] = frozenset()) -> Mapping[Cell, str]:
    return Agenda(made, broken, set()).due(EAGER.lane)


@given(eager=st.integers(0, 5), compiled=st.integers(0, 5))
def test_a_cell_is_due_that_lacks_rounds_and_a_measured_one_goes_beside_it(
    basis: Basis, eager: int, compiled: int
) -> None:
    counts = {EAGER: eager, COMPILED: compiled}
    known = {cell.mode: stored(basis, cell, n) for cell, n in counts.items() if n}
    lacking = {cell for cell, n in counts.items() if n < ROUNDS}
    found = due(planned(basis, **known))
    assert {cell for cell, why in found.items() if why == LACKS} == lacking
    beside = {cell for cell, n in counts.items() if n >= ROUNDS and lacking}
    assert {cell for cell, why in found.items() if why == BESIDE} == beside


def test_rounds_of_a_broken_pass_do_not_count(basis: Basis) -> None:
    both = {cell.mode: stored(basis, cell, ROUNDS) for cell in LANE.cells}
    assert due(planned(basis, **both)) == {}
    assert set(due(planned(basis, **both), frozenset({"pass/2"})).values()) == {LACKS}


def test_wide_intervals_are_a_reason_until_the_protocol_s_last_round(basis: Basis) -> None:
    protocol = LANE.protocol.model_copy(update={"half_width": 1e-9, "rounds_max": ROUNDS + 1})
    asking = replace(basis, matrix=replace(LANE, protocol=protocol))
    arms, apart = (EAGER, replace(EAGER, replica=1)), [5.0, 6.0, 5.5, 5.2]
    asking = replace(asking, matrix=replace(asking.matrix, cells=arms))
    for rounds, why in ((ROUNDS, {OPEN}), (ROUNDS + 1, set())):
        known = {cell.id: stored(asking, cell, rounds) for cell in arms}
        scattered = run_folders.result(EAGER, apart[:rounds]).rounds
        known[EAGER.id] = msgspec.structs.replace(known[EAGER.id], rounds=scattered)
        whole = {name: StoredCell(one) for name, one in known.items()}
        assert set(due(plan(asking, whole, uncertified=True)).values()) == why


def test_another_protocol_s_rounds_stand_back_and_come_back(basis: Basis) -> None:
    now, other = stored(basis, EAGER, 2), stored(basis, EAGER, 3, hash="another")
    made = planned(basis, eager=StoredCell(other, (now,)))
    [switch] = made.switches
    assert (switch.aside, switch.back, made.rows[EAGER.id].rounds) == (other, now, now.rounds)
    assert made.put_aside == {"standard": 1}
    assert made.last_number[EAGER.id] == 3, "no round gets the number of another one's samples"
    fresh = planned(basis, eager=other)
    assert (fresh.switches[0].back, fresh.rows[EAGER.id].status) == (None, "failed")


def test_only_rounds_that_can_be_started_count_for_what_repeats_may_cost(basis: Basis) -> None:
    def rounds(of: Basis) -> int:
        return Agenda(plan(of, {}, uncertified=True), frozenset(), set()).planned

    assert rounds(basis) == 2 * ROUNDS
    assert rounds(replace(basis, hashes=dict.fromkeys(basis.hashes))) == 0, "without an artifact"
    nowhere = replace(EAGER, runtime="openvino", mode="ir", scenario="train")
    hashes = {artifacts.artifact(basis.run.path, cell): "a" * 64 for cell in (EAGER, nowhere)}
    keys = {cell.id: cell.id for cell in (EAGER, nowhere)}
    asked = replace(LANE, cells=(EAGER, nowhere))
    assert rounds(replace(basis, matrix=asked, hashes=hashes, keys=keys)) == ROUNDS, "nor of no such scenario"


def test_a_cell_without_a_certificate_is_barred_and_keeps_what_it_has(basis: Basis) -> None:
    eager = stored(basis, EAGER, 2)
    made = plan(basis, {EAGER.id: StoredCell(eager)}, uncertified=False)
    assert made.barred == {EAGER.id, COMPILED.id}
    assert [row.status for row in made.rows.values()] == ["ok", "uncertified"]
    assert "no certificate" in str(made.rows[COMPILED.id].reason)
    assert [row.id for row in made.rewritten] == [COMPILED.id]
    assert not Agenda(made, frozenset(), set()).can_time


def test_what_rounds_come_to_is_a_function_of_records(basis: Basis) -> None:
    cells = {cell.id: stored(basis, cell, ROUNDS, stats={"value": 5.0}) for cell in LANE.cells}
    again = replace(EAGER, replica=1)
    cells[again.id] = stored(basis, again, ROUNDS)
    given_ = (cells, cells, BenchFile(), (EAGER, again), "this bench", 10**6)
    closed = close.close(*given_)
    assert closed == close.close(*given_)
    assert closed.noise.history[-1].b == EAGER.id
    assert (closed.comparisons[-1].a, closed.comparisons[-1].b) == (again.id, EAGER.id)
    assert closed.cells == cells, "no ceiling is known, so no share is"


@pytest.mark.usefixtures("in_process")
def test_a_bench_reads_each_stored_cell_once_and_its_samples_lie_where_they_stay(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench(run_folder, one(protocol={"rounds": 1, "measured_s": 0.02}))
    reads: list[str] = []
    read = results.read
    monkeypatch.setattr(results, "read", lambda path: reads.append(path.stem) or read(path))
    [cell] = bench(run_folder, one(protocol={"rounds": 3, "measured_s": 0.02}))
    assert reads == [cell.id]
    assert len(cell.rounds) == 3
    left = sorted(path.relative_to(run_folder / "bench") for path in run_folder.rglob("bench/**/*.npz"))
    assert left == [Path("cells") / cell.id / f"round_{number:04d}.npz" for number in (1, 2, 3)]
