"""Which twin trains faster?"""

from __future__ import annotations

from functools import partial

from bench.cells.cell import TWINS
from bench.cells.scenarios import TRAIN
from bench.run.results import CellResult
from reports.answers.answer import NOT_DECIDED, Answer, Evidence, verb
from reports.answers.deciding import remedy
from reports.answers.ranking import figure, rankings
from reports.formats import TWIN_NAMES, ratio, seconds
from reports.run.read import Run
from reports.words import measurement
from reports.words.comparisons import NOT_RANKED


def trains_faster(run: Run) -> Answer:
    """Return whose training step is faster, by the paired rounds of the scenario train."""
    evidence = Evidence("steps a second", ("train_parts", "comparisons", "training"))
    answer = partial(Answer, key="trains_faster", question="Trains faster?", evidence=evidence)
    again = verb(run, "bench", f"-k {TRAIN.name}")
    found = [one for one in rankings(run, TRAIN.name) if len(one.leaders) == len(TWINS)]
    if not found:
        timed = any(cell.axes.scenario == TRAIN.name for cell in run.cells)
        said = ("No twin's steps may be compared" if timed else "No training step was timed") + _epochs(run)
        how = again if timed else verb(run, "bench", f"--matrix cpu -k {TRAIN.name}")
        return answer(word=NOT_DECIDED, said=said, decides="time the steps,", command=how, state="open")
    ranking = found[0]
    first, second = sorted(ranking.leaders, key=lambda one: one is ranking.baseline)
    verdict, by = ranking.verdict(first, second), ranking.speedup(first, second)
    both = f"{_steps(first)} against {_steps(second)}, batch {ranking.lane.batch}"
    said = f"{ratio(by)}, {both}" if by else both
    decides, more = remedy(run, [(first, second)])
    if measurement.noise(run).verdict == "INVALID" or verdict == NOT_RANKED or by is None:
        said = f"{both}, not ranked"
        return answer(word=NOT_DECIDED, said=said, decides=decides, command=more, state="open")
    if verdict == "faster":
        return answer(word=TWIN_NAMES[first.axes.twin], said=said)
    if verdict == "equivalent":
        return answer(word="Neither, equal within 2 %", said=said)
    return answer(word="Not told apart", said=said, decides=decides, command=more, state="open")


def _steps(cell: CellResult) -> str:
    return f"{TWIN_NAMES[cell.axes.twin]} {figure(cell)}"


def _epochs(run: Run) -> str:
    """Return how long an epoch's steps took each twin; "" where that is not recorded."""
    means = {}
    for twin, training in run.training.items():
        known = [line.train_s for line in training.epochs if line.train_s is not None]
        if known:
            means[twin] = sum(known) / len(known)
    said = " and ".join(f"{seconds(mean)} {TWIN_NAMES[twin]}" for twin, mean in means.items())
    return f"; an epoch took {said}, one training each" if len(means) == len(TWINS) else ""
