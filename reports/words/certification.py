"""Whether a timed cell is covered by a certificate of this run, and how that is said beside its figures."""

from __future__ import annotations

from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS
from bench.parity.certificate import CERTIFIED
from bench.run.results import CellResult
from reports.formats import Absent, Noted, Value
from reports.run.parity_file import Parity
from reports.run.read import Run

UNCERTIFIED = "uncertified"
NOTE = (
    "What is marked uncertified was timed without a passed parity certificate: nothing shows that it "
    "computes what the others do."
)


def doubt(run: Run, result: CellResult) -> str | None:
    """Return why a measured, timed cell is uncertified; None when it is certified, or has no timing.

    It is certified when the bench's gate would let it be timed now, by the certificate that it carries.
    Which versions are installed here says nothing of a run that may have been made elsewhere.
    """
    if result.status != "ok" or not needs(result):
        return None
    return doubt_of(run, result.axes, result.artifact_sha256, result.certificate_id)


def doubt_of(run: Run, axes: Cell, artifact_sha256: str | None, certificate_id: str | None) -> str | None:
    """Return why a timing of an artifact is uncertified by the certificate that it carries; None if it is."""
    if certificate_id is None:
        return "timed without a certificate (--uncertified)"
    if run.parity is None:
        return "its certificate is not in the run: there is no parity.json"
    if run.parity.status == "fail":
        return "the parity ladder has failed since it was timed"
    asked = SCENARIOS[axes.scenario]
    if asked.unproven and axes.precision != "fp32":
        return asked.unproven.format(axes.precision)
    lacks = _lacks(run.parity, asked.rungs)
    return lacks or _uncovered(run.parity, axes, artifact_sha256, certificate_id)


def _lacks(parity: Parity, needed: tuple[int, ...]) -> str | None:
    """Return the first of the needed rungs that has not passed."""
    statuses = {rung.number: rung.status for rung in parity.rungs}
    for number in needed:
        status = statuses.get(number, "not climbed")
        if status != "pass":
            return f"rung {number} of the parity ladder is {status}"
    return None


def _uncovered(parity: Parity, axes: Cell, artifact_sha256: str | None, certificate_id: str) -> str | None:
    """Return why no certificate of a ladder that passed is the cell's."""
    covering = [c for c in parity.runtimes if c.covers(axes)]
    # Of those of one environment the first speaks, as it does at the gate; the cell says which it carries.
    firsts = list({c.place: c for c in reversed(covering)}.values())[::-1]
    found = next((c for c in firsts if c.id == certificate_id), next(iter(firsts), None))
    if found is None:
        return "parity.json has no certificate of this runtime, mode and precision"
    if found.artifact_sha256 != artifact_sha256:
        return "its certificate is of another artifact"
    if SCENARIOS[axes.scenario].runs_network and found.status not in CERTIFIED:
        return f"its certificate says {found.status}"
    if found.id != certificate_id:
        return "the ladder was climbed anew since it was timed; 'twinpose bench' gives it the new certificate"
    return None


def needs(result: CellResult) -> bool:
    """Return whether a cell's timing is of a network, which a certificate must cover."""
    return bool(SCENARIOS[result.axes.scenario].rungs)


def uncertified(run: Run) -> list[CellResult]:
    """Return the cells whose timings stand without a certificate."""
    return [cell for cell in run.cells if doubt(run, cell)]


def standing(run: Run, results: list[CellResult]) -> Value:
    """Return `certified` or `uncertified` of cells that share a row, with the reasons of a doubt."""
    if reasons := list(dict.fromkeys(filter(None, (doubt(run, result) for result in results)))):
        return Noted(UNCERTIFIED, "; ".join(reasons))
    if any(result.status == UNCERTIFIED for result in results):
        return UNCERTIFIED
    timed = any(r.status == "ok" and needs(r) for r in results)
    return "certified" if timed else Absent("no timing of a network here", quiet=True)


def marked(run: Run, result: CellResult, label: str) -> str:
    """Return a cell's label in a plot, with the word that warns of its timing."""
    return f"{label}, {UNCERTIFIED}" if doubt(run, result) else label


def note(run: Run) -> str:
    """Return what stands under whatever shows timings; "" when all of them are certified."""
    return f" {NOTE}" if uncertified(run) else ""
