"""What does OpenVINO gain, and what does each lower precision cost in AP?"""

from __future__ import annotations

from functools import partial

from bench.cells.runtimes import PRECISIONS, RUNTIMES
from bench.cells.scenarios import LATENCY
from reports.answers.answer import NOT_DECIDED, Answer, Evidence, ap_difference, sentences, verb
from reports.answers.deciding import figures_of
from reports.answers.deployment import Option, faster, options
from reports.formats import rate, times, times_interval
from reports.run.read import Run
from reports.words import cells

OPENVINO = RUNTIMES["openvino"]
COSTS = {"equal": "AP kept within {}", "higher": "no AP lost", "lower": "lower AP"}
"""By the verdict on AP against the twin's own framework: what a precision costs; {} is the margin."""


def at_what_cost(run: Run) -> Answer:
    """Return OpenVINO's gain over the twin's framework, and each lower precision's gain and cost in AP."""
    names = ("accuracies", "certificates", "ap_against_latency")
    evidence = Evidence("AP by precision", names)
    answer = partial(Answer, key="at_what_cost", question="At what cost?", evidence=evidence)
    found = options(run)
    here = _by_precision(found)
    if not here:
        said, again = (
            f"No {OPENVINO.title} cell has a certified latency",
            verb(run, "bench", f"-k {OPENVINO.name}"),
        )
        timed = [c for c in run.cells if (c.axes.scenario, c.axes.runtime) == (LATENCY.name, OPENVINO.name)]
        decides, more = figures_of(run, timed, ("measure it,", again))
        return answer(word=NOT_DECIDED, said=said, decides=decides, command=more, state="open")
    baseline = min((one for one in found if one.is_source), key=_rank, default=None)
    first, *others = here
    against = [baseline, *(first for _ in others)]
    gains = [_said(run, one, to) for one, to in zip(here, against, strict=True)]
    lower = [f"{_word(one)}: {text}" for one, text in zip(others, gains[1:], strict=True)]
    answer = partial(answer, word=f"{OPENVINO.title} {_word(first)}", said=sentences((gains[0], *lower)))
    if all(one.ap is not None and one.ap.verdict in COSTS for one in here):
        return answer()
    return answer(decides="AP on more images,", command=verb(run, "bench", "-k accuracy"), state="open")


def _by_precision(found: list[Option]) -> list[Option]:
    """Return OpenVINO's option of each precision, fp32 first: of the twin of the most common framework."""
    of_openvino = [one for one in found if one.cell.axes.runtime == OPENVINO.name]
    kept = {one.cell.axes.precision: one for one in sorted(of_openvino, key=_rank, reverse=True)}
    return [kept[name] for name in PRECISIONS if name in kept]


def _rank(one: Option) -> tuple[int, float]:
    return RUNTIMES[one.cell.axes.twin].baseline, one.ms


def _word(one: Option) -> str:
    """Return a precision with what it costs: fp32, AP kept within 0.001."""
    verdict, margin = (one.ap.verdict, one.ap.margin) if one.ap else (None, None)
    cost = COSTS.get(verdict or "", "not decided").format(rate(margin or 0.0))
    return f"{one.cell.axes.precision}, {cost}"


def _said(run: Run, one: Option, against: Option | None) -> str:
    """Return how many times faster an option is than another, and how its AP differs from its source's."""
    by = faster(run, one.cell, against.cell) if against and against is not one else None
    ap = ""
    if one.ap is not None and one.ap.interval is not None and one.ap.difference is not None:
        ap = f"ΔAP {ap_difference(one.ap.difference, one.ap.interval)}"
    if by is None or against is None:
        return ap or "no interval yet"
    value, low, high = by[0]
    other = cells.name(against.cell.axes) if against.is_source else against.cell.axes.precision
    return ", ".join(filter(None, (f"{times(value, high - low)} {other} {times_interval(low, high)}", ap)))
