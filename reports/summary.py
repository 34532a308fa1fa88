"""What may be said of a run at the top of its page, and what may not."""

from __future__ import annotations

from bench.cells.cell import TWINS
from reports.formats import TWIN_NAMES, Absent, Value, coco_number, difference, or_absent, score, tiny
from reports.run.missing import command, missing, no_test, unmeasured
from reports.run.read import Run
from reports.table import Column, Row, Table
from reports.words import certification

LOW_AP = 0.05
"""About what a predictor of the mean pose scores."""


def headline(run: Run) -> Table:
    """Return AP of both twins on validation and test, and their difference."""
    last = common_epoch(run)
    common = "last common epoch" if last is None else f"epoch {last} of both"
    first = "Validation, imported weights" if run.imported else "Validation, best epoch of each"
    # A training scores itself by ground truth; imported weights are scored as the test part is.
    boxes = run.boxes if run.imported else "ground truth"
    parts = {first: {twin: _best(run, twin) for twin in TWINS}}
    if not run.imported:
        parts[f"Validation, {common}"] = {twin: _at(run, twin, last) for twin in TWINS}
    parts["Test, scored once"] = {twin: _tested(run, twin) for twin in TWINS}
    return Table(
        name="headline",
        title="AP of the twins",
        columns=(
            Column("part", "Part"),
            *(Column(f"AP_{twin}", f"{TWIN_NAMES[twin]} AP", score, "number") for twin in TWINS),
            Column("difference", "PyTorch − TensorFlow", difference, "number"),
        ),
        rows=tuple(Row((part, *values.values(), _difference(values))) for part, values in parts.items()),
        note=f"COCO AP (OKS 0.50:0.95). Boxes on validation: {boxes}; on test: {run.boxes}.{run.order}",
        command=f"{command(run, 'run' if run.imported else 'train')} && {command(run, 'test')}",
        source=f"train/*/{'summary.json' if run.imported else 'epochs.jsonl'} and test.json",
    )


def common_epoch(run: Run) -> int | None:
    """Return the last epoch that both twins have ended, or None without one."""
    reached = [{line.epoch for line in training.epochs} for training in run.training.values()]
    return max(set.intersection(*reached), default=None) if len(reached) == len(TWINS) else None


def _best(run: Run, twin: str) -> Value:
    training = run.training.get(twin)
    if twin in run.imported:
        return or_absent(run.imported[twin].get("best_ap"), "the validation part was not scored")
    if training is None:
        return Absent(f"{TWIN_NAMES[twin]} is not trained in this run")
    if not training.summary:
        # A best epoch of half a training beside one of a whole training would be no comparison.
        return Absent(f"{TWIN_NAMES[twin]}: the training is unfinished")
    return or_absent(training.best.ap if training.best else None, "no epoch was scored")


def _at(run: Run, twin: str, epoch: int | None) -> Value:
    if epoch is None:
        return Absent("no epoch has ended for both twins")
    value = next(line.ap for line in run.training[twin].epochs if line.epoch == epoch)
    return or_absent(value, "the epoch's line holds no finite value")


def _tested(run: Run, twin: str) -> Value:
    reason = no_test(run, twin)
    if reason or run.test is None:
        return Absent(reason or "the test part is not scored yet")
    return coco_number(run.test.twins[twin].get("AP"))


def _difference(by_twin: dict[str, Value]) -> Value:
    tf, torch = by_twin["tf"], by_twin["torch"]
    if isinstance(tf, float) and isinstance(torch, float):
        return torch - tf
    return Absent("one of the two is absent", quiet=True)


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
    if set(run.training) != set(TWINS):
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
    timed = [c for c in run.cells if c.status == "ok" and certification.needs(c)]
    count = len(certification.uncertified(run))
    if not count:
        return []
    return [
        f"{count} of {len(timed)} timings stand without a parity certificate and are marked uncertified: "
        "they may be of things that are not the same thing."
    ]
