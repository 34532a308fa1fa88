"""What would decide a comparison that is open: so many passes, or none in reason."""

from __future__ import annotations

from collections.abc import Iterable

from bench.cells.protocol import MOST_ROUNDS
from bench.run.results import CellResult
from bench.statistics.samples import counted
from bench.verdicts import open_pairs
from bench.verdicts.open_pairs import Outlook
from reports.answers.answer import verb
from reports.formats import seconds
from reports.run.read import Run
from reports.words import certification


def outlook(run: Run) -> Outlook:
    """Return what the bench of a run has left open."""
    sessions = run.bench.sessions if run.bench else ()
    uncertified = [cell.id for cell in certification.uncertified(run)]
    return open_pairs.outlook(run.cells, run.comparisons or (), sessions, uncertified)


def more_rounds(run: Run, pairs: Iterable[tuple[CellResult, CellResult]]) -> tuple[str, str]:
    """Return what would decide pairs of cells, and what to type for it.

    Pairs that the bench did not rank need a new measurement; what no bench in reason tells apart, less noise.
    """
    asked = {frozenset((a.id, b.id)) for a, b in pairs}
    whole = outlook(run)
    found = [one for one in whole.pairs if frozenset((one.a, one.b)) in asked]
    if not found:
        return "measure them again,", verb(run, "bench", "--again")
    left = Outlook(tuple(found), whole.pass_s)
    if left.decidable:
        return passes(left), more(run, left)
    return f"a quieter machine: {MOST_ROUNDS} rounds tell no more here,", verb(run, "bench", "--again")


def more(run: Run, left: Outlook) -> str:
    """Return what to type for the decidable pairs, a command for each bench that measured any."""
    return " && ".join(verb(run, "bench", asks) for asks in left.commands)


def passes(left: Outlook) -> str:
    """Return what the decidable pairs cost: about 6 more passes, 2 min 05 s; "" where there are none."""
    if not left.decidable:
        return ""
    return f"about {counted(sum(left.passes.values()), 'more pass', 'more passes')}, {seconds(left.seconds)},"
