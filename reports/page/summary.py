"""What may be said of a run at the top of its page, and what may not."""

from __future__ import annotations

from bench.cells.cell import TWINS
from bench.parity import certificate
from reports.formats import tiny
from reports.run.missing import missing, unmeasured
from reports.run.read import Run
from reports.words import certification

LOW_AP = 0.05
"""About what a predictor of the mean pose scores."""


def sentences(run: Run) -> list[str]:
    """Return sentences of what may be said of this run, and what may not."""
    return [
        *_missing_says(run),
        *_training_says(run),
        *_imported_says(run),
        *_low_says(run),
        *_conversion_says(run),
        *_bench_says(run),
    ]


def _missing_says(run: Run) -> list[str]:
    listed = ", ".join(f"{part.part} {part.status}" for part in missing(run))
    if not listed:
        return []
    return [f"This run is not complete: {listed}. What failed names the commands that complete it."]


def _training_says(run: Run) -> list[str]:
    if set(run.training) != set(TWINS) or run.further:
        return []
    seed = f" (seed {run.recipe.training.seed})" if run.recipe else ""
    return [
        f"Each twin was trained once{seed}. How far the same twin moves between seeds is not measured "
        "here, so an AP difference of this size alone does not show that one framework trains better."
    ]


def _imported_says(run: Run) -> list[str]:
    sources = {one["imported"]["sha256"]: one["imported"]["name"] for one in run.imported.values()}
    if not sources:
        return []
    named = " and ".join(sorted(str(name) for name in sources.values()))
    return [f"Nothing was trained: the weights are those of {named}. The comparison is of runtimes alone."]


def _low_says(run: Run) -> list[str]:
    best = [training.best.ap or 0.0 for training in run.training.values() if training.best]
    if not best or max(best) >= LOW_AP:
        return []
    return [f"No AP reaches {LOW_AP}: the run shows that the path works, not how well the twins learn."]


def _conversion_says(run: Run) -> list[str]:
    moved = [
        route.max_abs_difference / route.rms_source
        for found in run.conversions.values()
        for route in found.routes
        if route.max_abs_difference is not None and route.rms_source
    ]
    if not moved:
        return []
    return [f"Conversion moved no heatmap value by more than {tiny(max(moved))} of the source's RMS."]


def _bench_says(run: Run) -> list[str]:
    if not run.cells:
        return []
    good = [cell for cell in run.cells if cell.status == "ok"]
    doubtful = sum(cell.validity.verdict != "VALID" for cell in good)
    bad, waiting = len(run.cells) - len(good), len(unmeasured(run))
    counts = [
        f"{len(good)} of {len(run.cells)} cells were measured",
        f"{doubtful} of them flagged or invalid" if doubtful else "",
        f"{bad} were not, each listed with its reason" if bad else "",
        f"{waiting} of the matrix have not run yet" if waiting else "",
    ]
    return ["; ".join(filter(None, counts)) + ".", *_uncertified_says(run)]


def _uncertified_says(run: Run) -> list[str]:
    timed = [c for c in run.cells if c.status == "ok" and certificate.needs(c.axes)]
    count = len(certification.uncertified(run))
    if not count:
        return []
    return [
        f"{count} of {len(timed)} timings stand without a parity certificate and are marked uncertified: "
        "they may be of things that are not the same thing."
    ]
