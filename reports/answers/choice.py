"""Which artifact would you ship here?"""

from __future__ import annotations

from functools import partial

from bench.cells.scenarios import LATENCY
from reports.answers.answer import NOT_DECIDED, Answer, Evidence, capital, sentences, verb
from reports.answers.deciding import figures_of, remedy
from reports.answers.deployment import Option, faster, options
from reports.formats import TWIN_NAMES, milliseconds, runtime, score
from reports.run.read import Run
from reports.words import cells, measurement

LEAST = 0.001
"""AP: less is below the last printed digit."""


def ship_here(run: Run) -> Answer:
    """Return the fastest artifact at batch 1 whose AP is shown to be its source's, and what it may lose."""
    evidence = Evidence("AP against latency", ("ap_against_latency", "runtime_overview"))
    answer = partial(Answer, key="ship_here", question="Ship here?", evidence=evidence)
    found, again = options(run), verb(run, "bench")
    kept = [one for one in found if one.keeps_ap]
    if measurement.noise(run).verdict == "INVALID":
        said = "Identical arms differ in this bench: its speeds choose nothing"
        decides, more = remedy(run)
        return answer(word=NOT_DECIDED, said=said, decides=decides, command=more, state="no")
    if not kept:
        said = "Nothing here has both a certified latency and a known AP"
        timed = [one for one in run.cells if one.axes.scenario == LATENCY.name and one.axes.batch == 1]
        decides, more = figures_of(run, timed, ("measure both,", again))
        return answer(word=NOT_DECIDED, said=said, decides=decides, command=more, state="open")
    pick = kept[0]
    rival = next((one for one in kept[1:] if one.kind != pick.kind), None)
    quicker = [one for one in found[: found.index(pick)] if one.kind != pick.kind]
    lower = [one for one in quicker if one.ap is not None and one.ap.verdict == "lower"]
    unknown = [one for one in quicker if one not in lower]
    said = sentences(
        (
            f"{milliseconds(pick.ms)} ms{_unless(pick, kept)}",
            _faster("AP lower", lower),
            _faster("AP not decided", unknown),
            _flagged(run, pick),
        )
    )
    if unknown:
        more = f"{again} -k accuracy"
        return answer(
            word=f"{named(run, pick, kept)}, as far as known",
            said=said,
            decides="their AP,",
            command=more,
            state="open",
        )
    if rival is None or _beats(run, pick, rival):
        return answer(word=named(run, pick, kept), said=said)
    decides, more = remedy(run, [(pick.cell, rival.cell)])
    word = f"{_short(pick)} or {_short(rival)}"
    return answer(word=word, said=said, decides=decides, command=more, state="open")


def _beats(run: Run, one: Option, other: Option) -> bool:
    by = faster(run, one.cell, other.cell)
    return by is not None and by[1] and by[0][0] > 1


def named(run: Run, one: Option, among: list[Option]) -> str:
    """Return what to ship in words: OpenVINO int8 of the PyTorch twin, or of either twin."""
    other = next((o for o in among if o.kind == one.kind and o is not one), None)
    if one.cell.axes.runtime == one.cell.axes.twin:
        return _short(one)
    if other is not None and not _beats(run, one, other):
        return f"{_short(one)} of either twin"
    return f"{_short(one)} of the {TWIN_NAMES[one.cell.axes.twin]} twin"


def _short(one: Option) -> str:
    """Return runtime and precision: OpenVINO int8, PyTorch eager fp32."""
    axes = one.cell.axes
    own = cells.name(axes) if axes.runtime == axes.twin else runtime(axes.runtime)
    return f"{own} {axes.precision}"


def _unless(pick: Option, kept: list[Option]) -> str:
    """Return what AP the pick may lose and what loses less; "" where that is below the last digit."""
    safer = next((one for one in kept if one.worst < LEAST), None)
    if pick.worst < LEAST:
        return ", its AP that of its source"
    then = f": then {_short(safer)}, {milliseconds(safer.ms)} ms" if safer else ""
    return f", unless {score(pick.worst)} of AP matters{then}"


def _flagged(run: Run, pick: Option) -> str:
    """Return that a figure which the choice rests on is flagged, and for what; "" where none is."""
    rests_on = {"latency": pick.cell, "AP": cells.accuracy_of(pick.cell, run.cells)}
    said = [
        f"its {what} is flagged: {'; '.join(one.text for one in cell.validity.known)}"
        for what, cell in rests_on.items()
        if cell is not None and cell.validity.verdict == "FLAGGED"
    ]
    return capital("; ".join(said))


def _faster(why: str, skipped: list[Option]) -> str:
    """Return what is faster than the choice, and why it is none; "" for nothing."""
    said = {_short(one): f"{_short(one)} {milliseconds(one.ms)} ms" for one in reversed(skipped)}
    return f"Faster, but {why}: {', '.join(reversed(said.values()))}" if said else ""
