"""The tables of training, test, conversion and literature."""

from __future__ import annotations

from bench.cells.cell import TWINS
from reports import literature
from reports.formats import (
    TWIN_NAMES,
    Absent,
    Value,
    coco_number,
    loss,
    or_absent,
    rate,
    score,
    seconds,
    tiny,
)
from reports.run.missing import command, no_test
from reports.run.read import Epoch, Route, Run, Training
from reports.table import Column, Row, Table

TEN_NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def per_epoch(run: Run) -> Table:
    """Return validation AP and loss of both twins, epoch by epoch.

    The recipe's report.table_epochs chooses the rows; every epoch, when it names none that was reached.
    """
    lines = {twin: {line.epoch: line for line in training.epochs} for twin, training in run.training.items()}
    reached = sorted({epoch for by_epoch in lines.values() for epoch in by_epoch})
    wanted = run.recipe.report.table_epochs if run.recipe else None
    chosen = [epoch for epoch in reached if wanted and epoch in wanted] or reached
    rows = tuple(
        Row((epoch, *(_of(run, lines, t, epoch, what) for what in ("ap", "val_loss") for t in TWINS)))
        for epoch in chosen
    )
    titles = (*(f"{TWIN_NAMES[t]} mAP" for t in TWINS), *(f"{TWIN_NAMES[t]} val loss" for t in TWINS))
    numbers = tuple(
        Column(title, title, show, "number")
        for title, show in zip(titles, (score, score, loss, loss), strict=True)
    )
    shortened = f" The recipe prints {len(chosen)} of {len(reached)} epochs." if chosen != reached else ""
    return Table(
        name="per_epoch_map",
        title="Validation mAP by epoch",
        columns=(Column("Epoch", "Epoch", kind="number"), *numbers),
        rows=rows,
        note="COCO AP (OKS 0.50:0.95) and loss on the validation part, boxes from the ground truth, "
        "after each epoch." + shortened,
        command=command(run, "train"),
        source=", ".join(f"train/{twin}/epochs.jsonl" for twin in run.training),
    )


def _of(run: Run, lines: dict[str, dict[int, Epoch]], twin: str, epoch: int, what: str) -> Value:
    if twin not in lines:
        return Absent(f"{TWIN_NAMES[twin]} is not trained in this run")
    if epoch not in lines[twin]:
        done = not run.training[twin].summary
        return Absent(f"{TWIN_NAMES[twin]} {'has not reached' if done else 'stopped before'} this epoch")
    value: float | None = getattr(lines[twin][epoch], what)
    return or_absent(value, "the epoch's line holds no finite value")


def training(run: Run) -> Table:
    """Return a row for each trained twin: epochs, the best one, time and versions."""
    return Table(
        name="training",
        title="Training",
        columns=(
            Column("twin", "Twin"),
            Column("epochs", "Epochs", kind="number"),
            Column("best_epoch", "Best epoch", kind="number"),
            Column("best_ap", "Best val AP", score, "number"),
            Column("last_ap", "Last val AP", score, "number"),
            Column("last_lr", "Last rate", rate, "number"),
            Column("train_s", "Training time", seconds, "number"),
            Column("val_s", "Validation time", seconds, "number"),
            Column("versions", "Versions"),
        ),
        rows=tuple(Row(_trained(twin, found)) for twin, found in run.training.items()),
        note="The best epoch is the first of the highest validation AP. Boxes: ground truth. Times are of "
        "one training each and rank nothing.",
        command=command(run, "train"),
        source=", ".join(f"train/{twin}/epochs.jsonl and summary.json" for twin in run.training),
    )


def _trained(twin: str, found: Training) -> tuple[Value, ...]:
    best, last = found.best, found.epochs[-1]
    versions = found.summary.get("versions")
    listed = ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else None
    none = "no epoch was scored"
    return (
        TWIN_NAMES[twin],
        len(found.epochs),
        or_absent(best.epoch if best else None, none),
        or_absent(best.ap if best else None, none),
        or_absent(last.ap, none),
        or_absent(last.lr, "not recorded"),
        _sum(found, "train_s"),
        _sum(found, "val_s"),
        or_absent(listed, "training is unfinished"),
    )


def _sum(found: Training, what: str) -> Value:
    values = [getattr(line, what) for line in found.epochs]
    return Absent("not recorded for every epoch") if None in values else float(sum(values))


def test_part(run: Run) -> Table | None:
    """Return the ten numbers of both twins on the test part, or None when nothing was scored."""
    if run.test is None or run.test.split is None:
        return None
    rows = []
    for twin in TWINS:
        scored = run.test.twins.get(twin, {})
        reason = no_test(run, twin)
        numbers = [Absent(reason) if reason else coco_number(scored.get(name)) for name in TEN_NUMBERS]
        at = Absent(reason) if reason else or_absent(scored.get("epoch"), "not recorded")
        rows.append(Row((TWIN_NAMES[twin], at, *numbers)))
    return Table(
        name="test",
        title="Test part",
        columns=(
            Column("twin", "Twin"),
            Column("epoch", "Epoch", kind="number"),
            *(Column(name, name, score, "number") for name in TEN_NUMBERS),
        ),
        rows=tuple(rows),
        note=f"Scored once, on the checkpoint that was best on validation. {run.scored_on}",
        command=command(run, "test"),
        source="test.json",
    )


def published(run: Run) -> Table | None:
    """Return what the literature reports for this network, or None when that is not the recipe's."""
    rows = literature.matching(run.recipe)
    if not rows:
        return None
    names = ("AP", "AP50", "AP75", "APM", "APL", "AR")
    unpublished = Absent("not among the published figures")
    return Table(
        name="literature",
        title="Literature: published, not measured here",
        columns=(
            Column("network", "Network"),
            Column("input", "Input"),
            Column("part", "Part"),
            Column("boxes", "Boxes"),
            *(Column(name, name, score, "number") for name in names),
            Column("source", "Source"),
        ),
        rows=tuple(
            Row(
                (
                    *(row.backbone, "{}x{}".format(*reversed(row.input_size)), row.part, row.boxes),
                    *(row.numbers.get(name, unpublished) for name in names),
                    row.source,
                )
            )
            for row in rows
        ),
        note="Other people's figures, by their own training, data and boxes. They are no result of this run.",
        command="",
        source="the publication named in each row",
    )


def conversion(run: Run) -> Table | None:
    """Return how far each conversion moved the output, or None when nothing was converted."""
    rows = [
        Row((TWIN_NAMES.get(twin, twin), *_route(route)), muted=route.status != "ok")
        for twin, found in run.conversions.items()
        for route in found.routes
    ]
    if not rows:
        return None
    return Table(
        name="conversion",
        title="Conversion",
        columns=(
            Column("source", "Source"),
            Column("route", "Route"),
            Column("file", "File", kind="code"),
            Column("max_abs_difference", "Max abs. difference", tiny, "number"),
            Column("relative_difference", "Relative to RMS", tiny, "number"),
            Column("wall_s", "Time", seconds, "number"),
            Column("status", "Status", kind="status"),
            Column("sha256", "SHA-256", only_csv=True),
        ),
        rows=tuple(rows),
        note="The converted network against its source on the same inputs: the largest difference of any "
        "heatmap value, and the same divided by the root mean square of the source's heatmaps.",
        command=command(run, "convert"),
        source=", ".join(f"artifacts/{twin}/conversion.json" for twin in run.conversions),
    )


def _route(route: Route) -> tuple[Value, ...]:
    reason = route.reason or "not recorded"
    moved, scale = route.max_abs_difference, route.rms_source
    relative = None if moved is None or not scale else moved / scale
    return (
        route.route,
        or_absent(route.file, reason),
        or_absent(moved, reason),
        or_absent(relative, reason if scale != 0 else "the source's output is zero everywhere"),
        or_absent(route.wall_s, "not recorded"),
        route.status,
        or_absent(route.sha256, reason),
    )
