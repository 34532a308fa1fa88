"""What would decide comparisons that are open: so many passes, a quieter machine, or both."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from bench.cells.protocol import MOST_ROUNDS
from bench.run.results import CellResult
from bench.statistics.samples import counted
from bench.verdicts import open_pairs
from bench.verdicts.open_pairs import Outlook
from reports.answers.answer import verb
from reports.formats import seconds
from reports.run.read import Run
from reports.words import certification, measurement


def remedy(run: Run, pairs: Iterable[tuple[CellResult, CellResult]] | None = None) -> tuple[str, str]:
    """Return what would decide pairs of cells, and what to type for it; ("", "") where none is open.

    Of all pairs that the bench has left open where none are given. Every answer asks here, so that none says
    other of a pair than another: more passes where those decide it, a quieter machine where they do not.
    """
    if measurement.noise(run).verdict == "INVALID":
        return "a quieter machine,", verb(run, "bench", "--again")
    left = _outlook(run)
    if pairs is not None:
        asked = {frozenset((a.id, b.id)) for a, b in pairs}
        left = replace(
            left,
            pairs=tuple(one for one in left.pairs if {one.a, one.b} in asked),
            invalid=tuple(one for one in left.invalid if {one.a, one.b} in asked),
        )
    count = len(left.pairs) + len(left.invalid)
    if not count:
        return ("", "") if pairs is None else ("measure them again,", verb(run, "bench", "--again"))
    if not left.decidable:
        return _on_a_quieter_machine(run, left)
    passes = counted(sum(left.passes.values()), "more pass", "more passes")
    decides = f"about {passes}, {seconds(left.seconds)},"
    if beyond := count - len(left.decidable):
        rest = "other" if len(left.decidable) == 1 else "others"
        decides = f"a quieter machine for {beyond} of {count} open pairs; for the {rest} {decides}"
    return decides, " && ".join(verb(run, "bench", asks) for asks in left.commands)


def _on_a_quieter_machine(run: Run, left: Outlook) -> tuple[str, str]:
    """Return what decides pairs that no more passes do: too close ones, and of an INVALID cell."""
    if left.pairs:
        decides = f"a quieter machine: {MOST_ROUNDS} rounds tell no more here,"
        return decides, verb(run, "bench", "--again")
    first, *others = dict.fromkeys(shlex.join(one.asks) for one in left.invalid)
    return "a quieter machine,", verb(run, "bench", "--again" if others else first)


def figures_of(run: Run, cells: Sequence[CellResult], otherwise: tuple[str, str]) -> tuple[str, str]:
    """Return what would give cells a figure that may stand: `otherwise`, unless some are INVALID.

    Those have their rounds, which a bench without --again keeps.
    """
    kept = any(one.status == "ok" and one.validity.verdict == "INVALID" for one in cells)
    return remedy(run, combinations(cells, 2)) if kept else otherwise


def _outlook(run: Run) -> Outlook:
    """Return what the bench of a run has left open."""
    sessions = run.bench.sessions if run.bench else ()
    uncertified = [cell.id for cell in certification.uncertified(run)]
    return open_pairs.outlook(run.cells, run.comparisons or (), sessions, uncertified)
