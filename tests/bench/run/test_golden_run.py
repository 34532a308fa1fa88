"""A whole run of before the rooms: its rounds stay valid, and it is reported and compared."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Say

from bench.cells import runtimes
from bench.cells.cell import Cell
from bench.cells.matrix import Matrix
from bench.parity import gate
from bench.rounds.plan import Basis, plan
from bench.run import artifacts, cell_key, folder, results, set_aside
from bench.stages import measurement

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "run"
STORED = {path.stem: json.loads(path.read_text()) for path in GOLDEN.glob("bench/cells/*.json")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(GOLDEN, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Matrix:
    """Return the run's matrix, where the versions are those that it was measured with."""
    packages = json.loads((GOLDEN / "run.json").read_text())["machine"]["packages"]
    monkeypatch.setattr(runtimes, "versions", lambda: packages)
    return measurement.load_matrix(folder.opened(GOLDEN), None)


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_a_round_measured_before_has_the_hash_that_it_would_have_now(
    measured: Matrix, stored: dict[str, object]
) -> None:
    decided = cell_key.decided_by_run(folder.opened(GOLDEN))
    found = results.cells(GOLDEN)
    [cell] = [one for one in found if one.id == stored["id"]]
    axes = Cell(**stored["axes"])  # type: ignore[arg-type]
    assert cell.status == "ok"
    assert cell_key.cell_hash(axes, measured, stored["artifact_sha256"], decided) == stored["hash"]  # type: ignore[arg-type]


def test_a_run_of_before_is_benched_on(measured: Matrix, run: Path, say: Say) -> None:
    ended = say("bench", run, "--list", "--json")
    assert ended.code == 0, ended.error
    assert STORED.keys() <= {*json.loads(ended.out)} | {f"{name}-again" for name in json.loads(ended.out)}
    opened, found = folder.opened(run), set_aside.stored(run)
    cells = [one.current.axes for one in found.values() if one.current]
    # The artifacts themselves are not in the repository.
    hashes = {artifacts.artifact(run, cell): found[cell.id].current.artifact_sha256 for cell in cells}  # type: ignore[union-attr]
    decided = cell_key.decided_by_run(opened)
    keys = {
        cell.id: cell_key.cell_hash(cell, measured, hashes[artifacts.artifact(run, cell)], decided)
        for cell in cells
    }
    wanted = replace(measured, cells=tuple(cells))
    made = plan(
        Basis(opened, wanted, gate.of_run(run), decided["split"], hashes, keys), found, uncertified=True
    )
    assert made.switches == ()
    assert {name: row.rounds for name, row in made.rows.items()} == {
        name: one.current.rounds for name, one in found.items() if one.current
    }


def test_a_run_of_before_is_reported(run: Path, say: Say) -> None:
    """The whole page, in the core's environment too, which has no framework."""
    ended = say("report", run)
    assert ended.code == 0, ended.error
    report = run / "report"
    page, summary = ((report / name).read_text() for name in ("report.html", "summary.md"))
    for question in ("Same network?", "Fastest at batch 1?", "Ship here?"):
        assert question in page
        assert question in summary
    figures = {path.stem for path in report.glob("plots/*.svg")}
    assert figures >= {"training_ap", "parity_errors", "comparisons", "latency_distribution", "roofline"}
    assert page.count("<svg") >= len(figures)
    listed = (report / "tables" / "runtime_comparison.csv").read_text()
    assert {name for name in STORED if name in listed} == STORED.keys()


def test_a_run_of_before_is_compared(run: Path, say: Say) -> None:
    ended = say("compare", GOLDEN, run, "--json")
    assert ended.code == 0, ended.error
    rows = json.loads(ended.out)["rows"]
    assert {row["id"] for row in rows} == STORED.keys()
