"""Which runtime is fastest at batch 1, and in throughput?"""

from __future__ import annotations

from functools import partial

from bench.cells.scenarios import LATENCY, THROUGHPUT
from bench.run.results import CellResult
from reports.answers.answer import NOT_DECIDED, Answer, Evidence, listed, sentences, verb
from reports.answers.deciding import figures_of, remedy
from reports.answers.ranking import Ranking, figure, rankings, uncertified
from reports.formats import device, times, times_interval
from reports.run.read import Run
from reports.words import cells, measurement
from reports.words.comparisons import SETTLED

UNCERTIFIED = "timed without a certificate"


def fastest_at_batch_1(run: Run) -> Answer:
    """Return which runtime as shipped answers one image first, in strict fp32."""
    evidence = Evidence("paired speed-ups", ("comparisons", "latency", "runtime_overview"))
    answer = partial(Answer, key="fastest_at_batch_1", question="Fastest at batch 1?", evidence=evidence)
    return _answer(run, rankings(run, LATENCY.name, batch=1), answer, LATENCY.name)


def fastest_in_throughput(run: Run) -> Answer:
    """Return which runtime as shipped has the most images a second, in strict fp32."""
    evidence = Evidence("paired speed-ups", ("comparisons", "throughput", "runtime_overview"))
    answer = partial(Answer, key="fastest_in_throughput", question="In throughput?", evidence=evidence)
    return _answer(run, rankings(run, THROUGHPUT.name), answer, THROUGHPUT.name)


def _answer(run: Run, found: list[Ranking], answer: partial[Answer], scenario: str) -> Answer:
    again = verb(run, "bench", f"-k {scenario}")
    if not found:
        missed = [c for c in run.cells if c.axes.scenario == scenario and c.axes.precision == "fp32"]
        why = f"None of {len(missed)} cells has a figure" if missed else f"No {scenario} cell was measured"
        decides, more = figures_of(run, missed, ("measure them,", again))
        return answer(word=NOT_DECIDED, said=why, decides=decides, command=more, state="open")
    if measurement.noise(run).verdict == "INVALID":
        said = "Identical arms differ in this bench, so any difference may be noise"
        decides, more = remedy(run)
        return answer(word=NOT_DECIDED, said=said, decides=decides, command=more, state="no")
    first, *others = (_one(run, ranking) for ranking in found)
    beside = [
        f"{device(ranking.lane.device)}: {word}, {figures}"
        for ranking, (_, word, figures) in zip(found[1:], others, strict=True)
    ]
    said = sentences((first[2], *beside))
    if all(won for won, _, _ in (first, *others)):
        return answer(word=first[1], said=said)
    open_ = [(one.leaders[0], rival) for one in found for rival in one.rivals or _unranked(one)]
    decides, more = remedy(run, open_)
    return answer(word=first[1], said=said, decides=decides, command=more, state="open")


def _one(run: Run, ranking: Ranking) -> tuple[bool, str, str]:
    """Return of a lane whether it is decided, the word that says who won, and the figures."""
    best, rivals = ranking.leaders[0], ranking.rivals
    lane = f"batch {ranking.lane.batch}, " if ranking.lane.batch > 1 else ""
    has = f"{lane}{figure(best)} in fp32"
    doubt = "".join((_left_out(ranking), f"; {UNCERTIFIED}" if uncertified(run, ranking) else ""))
    if len(ranking.leaders) == 1:
        return False, NOT_DECIDED, f"Only {ranking.named(best)} may be ranked, {has}{doubt}"
    said = "; ".join(against_baseline(ranking)) + doubt
    if not rivals:
        return True, ranking.named(best), f"{has}, {said}"
    names = listed(ranking.named(one) for one in (best, *rivals))
    if all(ranking.verdict(best, one) == "equivalent" for one in rivals):
        return True, f"{names}, equal within 2 %", f"{has}, {said}"
    return False, f"{NOT_DECIDED} between {names}", f"{ranking.named(best)} {has}, {said}"


def _unranked(ranking: Ranking) -> tuple[CellResult, ...]:
    """Return what a lane's only leader is not held against, for want of a figure."""
    return ranking.left_out if len(ranking.leaders) == 1 else ()


def _left_out(ranking: Ranking) -> str:
    """Return which cells of the lane have no figure that may stand, and what became of them."""
    became = {"ok": "INVALID"}
    said = [f"{cells.name(c.axes)} {became.get(c.status, c.status)}" for c in ranking.left_out]
    return f"; left out: {', '.join(said)}" if said else ""


def against_baseline(ranking: Ranking) -> list[str]:
    """Return how many times faster than the baseline each leader is, the first than the second too."""
    baseline, first = ranking.baseline, ranking.leaders[0]
    said = ["the baseline" if baseline is first else _times(ranking, first, baseline)]
    second = ranking.leaders[1]
    if ranking.verdict(first, second) in SETTLED and baseline not in (first, second):
        said[0] = f"{_times(ranking, first, second)} and {said[0]}"
    others = [one for one in ranking.leaders[1:] if one is not baseline]
    return said + [_times(ranking, one, baseline, named=ranking.named(one)) for one in others]


def _times(ranking: Ranking, a: CellResult, b: CellResult, named: str | None = None) -> str:
    """Return `2.80× PyTorch eager [2.61, 3.02]`, or `ONNX Runtime 2.20× [2.10, 2.31]` of what is named."""
    found = ranking.speedup(a, b)
    if found is None:
        return f"{named or ranking.named(a)} not ranked against {ranking.named(b)}"
    value, low, high = found
    by = f" {times_interval(low, high)}"
    said = times(value, high - low)
    open_ = "" if ranking.verdict(a, b) in SETTLED else ", open"
    return f"{named} {said}{by}{open_}" if named else f"{said} {ranking.named(b)}{by}{open_}"
