"""How fine is this run's sight, what spoiled it, and what is missing?"""

from __future__ import annotations

from collections import Counter
from functools import partial

from bench.run.results import CellResult
from bench.statistics.doubts import doubt
from bench.statistics.samples import counted
from bench.verdicts.disturbed_rounds import disturbed_rounds
from bench.verdicts.noise_floor import difference
from reports.answers.answer import Answer, Evidence, capital, listed, sentences, verb
from reports.answers.deciding import more, outlook, passes
from reports.formats import device
from reports.run.missing import missing
from reports.run.read import Run
from reports.words import certification, comparisons, measurement
from reports.words.comparisons import NOT_RANKED


def how_sure(run: Run) -> Answer:
    """Return the smallest difference that the bench can tell, how much it decided, and what is not here."""
    evidence = Evidence("how it was measured", ("measurement", "conditions"))
    answer = partial(Answer, key="how_sure", question="How sure?", evidence=evidence)
    gone = _not_here(run)
    again = verb(run, "bench")
    if not any(cell.rounds for cell in run.cells):
        said = sentences(("Nothing was timed", gone))
        return answer(word="Not at all", said=said, decides="bench it,", command=again, state="open")
    said = sentences((_decided(run), _disturbed(run), _doubtful(run), gone))
    noise = measurement.noise(run)
    if noise.verdict == "INVALID":
        said = sentences(("; ".join(noise.reasons), said))
        return answer(word="Not at all", said=said, decides="a quieter machine,", command=again, state="no")
    if noise.resolution is None:
        why = "A cell against itself gave no interval"
        why = why if noise.history else "No cell was measured against itself"
        said = sentences((why, said))
        return answer(word="Not known", said=said, decides="an A/A pair,", command=again, state="open")
    word = f"Sees differences from {difference(noise.resolution)}"
    of = {cell.axes.scenario for cell in run.cells if cell.axes.replica}
    said = sentences((f"So far was a cell of {listed(sorted(of))} from itself", said)) if of else said
    left = outlook(run)
    answer = partial(answer, word=word, said=said, decides=passes(left), command=more(run, left))
    return answer(state="open" if noise.verdict == "FLAGGED" else "decided")


def _decided(run: Run) -> str:
    counts = comparisons.counts(comparisons.pairs(run))
    total = sum(counts.values())
    if not total:
        return "No two cells were compared"
    decided = total - counts["inconclusive"] - counts[NOT_RANKED]
    return f"{decided} of {total} comparisons decided"


def _disturbed(run: Run) -> str:
    """Return how many rounds were measured again, and what spoiled those that stayed disturbed."""
    found = disturbed_rounds(run.cells)
    of = listed(f"{cause} in {count}" for cause, count in found.causes.items()) if found.causes else ""
    return found.text + (f"; {found.disturbed} stayed disturbed ({of})" if found.disturbed else "")


def _doubtful(run: Run) -> str:
    """Return how many cells are doubtful, and the reason that most of them share."""
    timed = [cell for cell in run.cells if cell.rounds and cell.status == "ok"]
    doubtful = [cell for cell in timed if cell.validity.verdict != "VALID"]
    if not doubtful:
        return "No cell is doubtful"
    kinds = Counter(kind for cell in doubtful for kind in {_kind(why) for why in cell.validity.reasons})
    most = kinds.most_common(1)
    because = f", most often: {_example(doubtful, most[0][0])}" if most else ""
    return f"{len(doubtful)} of {counted(len(timed), 'cell is', 'cells are')} doubtful{because}"


def _kind(reason: str) -> str:
    """Return a doubt without its figures and without how many rounds have it."""
    return doubt(reason.split(": ", 1)[-1]).kind.replace("up to ", "")


def _example(doubtful: list[CellResult], kind: str) -> str:
    reasons = [why for cell in doubtful for why in cell.validity.reasons if _kind(why) == kind]
    worst = max((doubt(why.split(": ", 1)[-1]) for why in reasons), key=lambda one: one.value)
    return worst.text.split(";")[0]


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
