"""Are the twins equally accurate?"""

from __future__ import annotations

from functools import partial

from bench.cells.cell import TWINS
from reports.answers.answer import NOT_DECIDED, Answer, Evidence, ap_difference, verb
from reports.formats import TWIN_NAMES, rate, score
from reports.run.missing import command
from reports.run.read import Run

LOW_AP = 0.05
"""About what a predictor of the mean pose scores."""
WORDS = {"higher": f"No, {TWIN_NAMES[TWINS[0]]}", "lower": f"No, {TWIN_NAMES[TWINS[1]]}"}
"""By the verdict of the first twin against the second."""


def equally_accurate(run: Run) -> Answer:
    """Return which twin's AP is higher on the validation part, by the interval over images."""
    evidence = Evidence("AP differences", ("accuracies", "headline", "training_ap", "failures"))
    answer = partial(
        Answer, key="equally_accurate", question="Equally accurate?", evidence=evidence, word=NOT_DECIDED
    )
    undecided = partial(answer, state="open")
    found = next((one for one in run.accuracies if one.question == "twins"), None)
    if found is None or found.interval is None or found.ap_a is None or found.ap_b is None:
        if best := _best(run):
            said = f"{_aps(*best)}, each at its best epoch, without an interval"
            return undecided(said=said, decides="score both,", command=verb(run, "bench", "-k accuracy"))
        return undecided(
            said="The run has no AP of both", decides="train both,", command=command(run, "train")
        )
    aps = _aps(found.ap_a, found.ap_b)
    if max(found.ap_a, found.ap_b) < LOW_AP:
        return undecided(said=f"{aps}: below {LOW_AP} AP says nothing", decides="a longer training")
    said = f"{aps}: {ap_difference(found.difference or 0.0, found.interval)}{_seeds(run)}"
    if found.verdict == "equal":
        return answer(word=f"Yes, within {rate(found.margin or 0.0)}", said=said)
    if found.verdict in WORDS:
        return answer(word=WORDS[found.verdict], said=said)
    return undecided(word="Not told apart", said=said, decides="more validation images, more seeds")


def _aps(first: float, second: float) -> str:
    names = [TWIN_NAMES[twin] for twin in TWINS]
    return f"AP {score(first)} {names[0]}, {score(second)} {names[1]}"


def _seeds(run: Run) -> str:
    return ", of the same imported weights" if run.imported else ", one seed each"


def _best(run: Run) -> tuple[float, float] | None:
    """Return both twins' best AP after an epoch; None without both."""
    found = [run.training[twin].best for twin in TWINS if twin in run.training]
    best = [epoch.ap for epoch in found if epoch and epoch.ap is not None]
    return (best[0], best[1]) if len(best) == len(TWINS) else None
