"""Are the twins equally accurate?"""

from __future__ import annotations

import re
from functools import partial

from bench.cells.cell import TWINS
from bench.verdicts.ap_differences import ApDifference
from reports.answers.answer import NOT_DECIDED, Answer, Evidence, ap_difference, verb
from reports.formats import TWIN_NAMES, rate, score
from reports.run.missing import command
from reports.run.read import Run

LOW_AP = 0.05
"""About what a predictor of the mean pose scores."""
LEAST_SEEDS = 3
"""Of which an interval over seeds begins to tell something."""
WORDS = {"higher": f"No, {TWIN_NAMES[TWINS[0]]}", "lower": f"No, {TWIN_NAMES[TWINS[1]]}"}
"""By the verdict of the first twin against the second."""


def equally_accurate(run: Run) -> Answer:
    """Return which twin's AP is higher on the validation part: over seeds, or of one each over images."""
    evidence = Evidence("AP differences", ("accuracies", "headline", "training_ap"))
    answer = partial(
        Answer, key="equally_accurate", question="Equally accurate?", evidence=evidence, word=NOT_DECIDED
    )
    undecided = partial(answer, state="open")
    asked = {one.question: one for one in run.accuracies if one.interval is not None}
    found = asked.get("seeds") or asked.get("twins")
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
    apart = ap_difference(found.difference or 0.0, found.interval)
    said = f"{aps}, difference {apart}{_seeds(run, found)}"
    if found.verdict == "equal":
        return answer(word=f"Yes, within {rate(found.margin or 0.0)}", said=said)
    if found.verdict in WORDS:
        return answer(word=WORDS[found.verdict], said=said)
    if found.interval[0] > 0 or found.interval[1] < 0:
        questions = sum(one.p_holm is not None for one in run.accuracies)
        said += f"; 0 is left out, but not by enough for {questions} questions at once (Holm)"
    undecided = partial(undecided, word="Not told apart", said=said)
    if run.imported:
        return undecided(decides="more validation images")
    count = found.seeds_needed or (None if found.seeds else LEAST_SEEDS)
    if count is None:
        return undecided(decides="hundreds of seeds")
    return undecided(decides=f"about {count} seeds,", command=_again(run, count))


def _aps(first: float, second: float) -> str:
    names = [TWIN_NAMES[twin] for twin in TWINS]
    return f"AP {score(first)} {names[0]}, {score(second)} {names[1]}"


def _seeds(run: Run, found: ApDifference) -> str:
    if found.seeds:
        return f", over {len(found.seeds)} seeds each"
    return ", of the same imported weights" if run.imported else ", one seed each"


def _again(run: Run, seeds: int) -> str:
    """Return the command that made the run, with so many seeds."""
    made = re.sub(r" --seeds[ =]\d+", "", command(run, "run"))
    return f"{made} --seeds {seeds}"


def _best(run: Run) -> tuple[float, float] | None:
    """Return both twins' best AP after an epoch; None without both."""
    found = [run.training[twin].best for twin in TWINS if twin in run.training]
    best = [epoch.ap for epoch in found if epoch and epoch.ap is not None]
    return (best[0], best[1]) if len(best) == len(TWINS) else None
