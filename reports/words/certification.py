"""Whether a timed cell is covered by a certificate of this run, and how that is said beside its figures."""

from __future__ import annotations

from bench.parity import certificate
from bench.run.results import CellResult
from reports.formats import Absent, Noted, Value
from reports.run.read import Run

UNCERTIFIED = "uncertified"
NOTE = (
    "What is marked uncertified was timed without a passed parity certificate: nothing shows that it "
    "computes what the others do."
)


def doubt(run: Run, result: CellResult) -> str | None:
    """Return why a measured, timed cell is uncertified; None when it is certified, or has no timing."""
    return certificate.doubts(run.parity, [result]).get(result.id)


def uncertified(run: Run) -> list[CellResult]:
    """Return the cells whose timings stand without a certificate."""
    return [cell for cell in run.cells if doubt(run, cell)]


def standing(run: Run, results: list[CellResult]) -> Value:
    """Return `certified` or `uncertified` of cells that share a row, with the reasons of a doubt."""
    if reasons := list(dict.fromkeys(filter(None, (doubt(run, result) for result in results)))):
        return Noted(UNCERTIFIED, "; ".join(reasons))
    if any(result.status == UNCERTIFIED for result in results):
        return UNCERTIFIED
    timed = any(r.status == "ok" and certificate.needs(r.axes) for r in results)
    return "certified" if timed else Absent("no timing of a network here", quiet=True)


def marked(run: Run, result: CellResult, label: str) -> str:
    """Return a cell's label in a plot, with the word that warns of its timing."""
    return f"{label}, {UNCERTIFIED}" if doubt(run, result) else label


def note(run: Run) -> str:
    """Return what stands under whatever shows timings; "" when all of them are certified."""
    return f" {NOTE}" if uncertified(run) else ""
