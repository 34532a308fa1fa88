"""The headline table: the best epoch of each twin, side by side."""

from __future__ import annotations

from bench.cells.cell import TWINS
from reports.formats import (
    FIRST_LESS_SECOND,
    TWIN_NAMES,
    Absent,
    Value,
    coco_number,
    difference,
    or_absent,
    score,
)
from reports.run.missing import command, no_test
from reports.run.read import Run
from reports.tables.table import Column, Row, Table


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
            Column("difference", FIRST_LESS_SECOND, difference, "number"),
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
        return tf - torch
    return Absent("one of the two is absent", quiet=True)
