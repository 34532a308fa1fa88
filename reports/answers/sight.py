"""How fine is this run's sight, what spoiled it, and what is missing?"""

from __future__ import annotations

from collections import Counter
from functools import partial

from bench.doubts import Doubt, by_kind, largest
from bench.run.results import CellResult
from bench.statistics.samples import counted
from bench.verdicts.comparisons import NOISE_FLOOR, Comparison
from bench.verdicts.disturbed_rounds import disturbed_rounds
from bench.verdicts.noise_floor import difference
from reports.answers.answer import Answer, Evidence, capital, listed, sentences, verb
from reports.answers.deciding import remedy
from reports.formats import device
from reports.run.missing import missing
from reports.run.read import Run
from reports.words import cells, certification, comparisons, measurement

MOST_NAMED = 4
"""Open pairs: of more, the table tells."""


def how_sure(run: Run) -> Answer:
    """Return the smallest difference that the bench can tell, how much it decided, and what is not here."""
    evidence = Evidence("how it was measured", ("measurement", "conditions"))
    answer = partial(Answer, key="how_sure", question="How sure?", evidence=evidence)
    gone = _not_here(run)
    again = verb(run, "bench")
    if not any(cell.rounds for cell in run.cells):
        said = sentences(("Nothing was timed", gone))
        return answer(word="Not at all", said=said, decides="bench it,", command=again, state="open")
    said = sentences((_decided(run), _disturbed(run), _flagged(run), gone))
    noise = measurement.noise(run)
    if noise.verdict == "INVALID":
        said = sentences(("; ".join(noise.reasons), said))
        decides, more = remedy(run)
        return answer(word="Not at all", said=said, decides=decides, command=more, state="no")
    if noise.resolution is None:
        why = "A cell against itself gave no interval"
        why = why if noise.history else "No cell was measured against itself"
        # A pair that gave no interval has its rounds: a bench without --again would keep them.
        decides, more = (
            ("a quieter machine,", f"{again} --again") if noise.history else ("an A/A pair,", again)
        )
        said = sentences((why, said))
        return answer(word="Not known", said=said, decides=decides, command=more, state="open")
    word = f"Sees nothing below {difference(noise.resolution)}"
    of = {cell.axes.scenario for cell in run.cells if cell.axes.replica}
    said = sentences((f"A cell of {listed(sorted(of))} may be that far from itself", said)) if of else said
    decides, more = remedy(run)
    answer = partial(answer, word=word, said=said, decides=decides, command=more)
    return answer(state="open" if noise.verdict == "FLAGGED" else "decided")


def _decided(run: Run) -> str:
    found = [pair for pair in comparisons.pairs(run) if pair.found.set != NOISE_FLOOR]
    if not found:
        return "No two cells were compared"
    left = [pair.found for pair in found if pair.verdict == "inconclusive"]
    decided = sum(pair.verdict in comparisons.SETTLED for pair in found)
    return f"{decided} of {len(found)} comparisons decided{_named(run, left)}"


def _named(run: Run, left: list[Comparison]) -> str:
    """Return which pairs are open, each with its lanes' scenarios; "" for none or too many."""
    names = {cell.id: cells.name(cell.axes) for cell in run.cells}
    found: dict[str, list[str]] = {}
    for one in left if len(left) <= MOST_NAMED else ():
        found.setdefault(f"{names[one.a]} against {names[one.b]}", []).append(one.scenario)
    said = [f"{who} ({', '.join(dict.fromkeys(scenarios))})" for who, scenarios in found.items()]
    return f"; open: {listed(said)}" if said else ""


def _disturbed(run: Run) -> str:
    """Return how many rounds were measured again, and what spoiled those that stayed disturbed."""
    found = disturbed_rounds(run.cells)
    of = listed(f"{cause} in {count}" for cause, count in found.causes.items()) if found.causes else ""
    return found.text + (f"; {found.disturbed} stayed disturbed ({of})" if found.disturbed else "")


def _flagged(run: Run) -> str:
    """Return how many cells are flagged or INVALID, and the doubt that most of them share at its largest."""
    timed = [cell for cell in run.cells if cell.rounds and cell.status == "ok"]
    doubtful = [cell for cell in timed if cell.validity.verdict != "VALID"]
    invalid = sum(cell.validity.verdict == "INVALID" for cell in doubtful)
    said = f"{len(doubtful) - invalid} of {counted(len(timed), 'cell is', 'cells are')} flagged"
    said += f", {invalid} INVALID" if invalid else ""
    shared = by_kind([_doubts(cell) for cell in doubtful])
    return f"{said}, most often: {largest(shared[0].values())}" if shared else said


def _doubts(cell: CellResult) -> list[Doubt]:
    """Return what is doubtful of a cell; an older version said it of rounds alone."""
    return cell.validity.doubts or [one for made in cell.rounds for one in made.validity.known]


def _not_here(run: Run) -> str:
    """Return what has no figure: devices, failed cells, parts of the run; "" where all is here."""
    failed = [cell for cell in run.cells if cell.status != "ok"]
    measured = {cell.axes.device for cell in run.cells if cell.status == "ok"}
    without = list(dict.fromkeys(c.axes.device for c in failed if c.axes.device not in measured))
    said = [device(name) for name in without]
    others = [c for c in failed if c.axes.device in measured]
    said += [f"{counted(len(others), 'cell', 'cells')} ({_statuses(others)})"] if others else []
    said += [part.part for part in missing(run)]
    bare = len(certification.uncertified(run))
    uncertain = f"{capital(counted(bare, 'timing is', 'timings are'))} uncertified" if bare else ""
    return sentences((uncertain, f"Not here: {listed(said)}" if said else ""))


def _statuses(found: list[CellResult]) -> str:
    return listed(f"{n} {status}" for status, n in sorted(Counter(c.status for c in found).items()))
