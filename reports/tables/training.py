"""The tables of training, test, conversion and literature."""

from __future__ import annotations

from bench.cells.cell import TWINS
from reports.formats import TWIN_NAMES, Absent, Value, coco_number, loss, or_absent, rate, score, seconds
from reports.frames.epoch_rows import EPOCHS, epoch_rows
from reports.run.missing import command, no_test
from reports.run.read import Run, TrainingHistory
from reports.tables import over_seeds
from reports.tables.table import Column, Row, Table

TEN_NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


def per_epoch(run: Run) -> Table:
    """Return validation AP and loss of both twins, epoch by epoch.

    The recipe's report.table_epochs chooses the rows; every epoch, when it names none that was reached.
    """
    every, first = epoch_rows(run), next(iter(run.by_seed))
    lines = {(row["twin"], row["epoch"]): row for row in every if row["seed"] == first}
    reached = sorted({int(str(row["epoch"])) for row in every})
    wanted = run.recipe.report.table_epochs if run.recipe else None
    chosen = [epoch for epoch in reached if wanted and epoch in wanted] or reached
    rows = tuple(Row((epoch, *_first(run, lines, epoch), *over_seeds.values(run, epoch))) for epoch in chosen)
    numbers = (
        *(Column(f"{TWIN_NAMES[t]} mAP", f"{TWIN_NAMES[t]} AP", score, "number") for t in TWINS),
        *(Column(f"{TWIN_NAMES[t]} val loss", f"{TWIN_NAMES[t]} val loss", loss, "number") for t in TWINS),
    )
    shortened = f" The recipe prints {len(chosen)} of {len(reached)} epochs." if chosen != reached else ""
    return Table(
        name="per_epoch_map",
        title="Validation AP by epoch",
        columns=(Column("Epoch", "Epoch", kind="number"), *numbers, *over_seeds.columns(run)),
        rows=rows,
        note="COCO AP (OKS 0.50:0.95) and loss on the validation part, boxes from the ground truth, after "
        "each epoch. What the study and the columns of the CSV call mAP is the same number."
        f"{shortened}{over_seeds.note(run)}",
        command=command(run, "train"),
        source=", ".join(f"train/{twin}/epochs.jsonl" for twin in run.training),
    )


def _first(run: Run, lines: dict[tuple[Value, Value], dict[str, Value]], epoch: int) -> list[Value]:
    """Return AP, then loss of both twins of the first seed after an epoch."""
    return [lines.get((t, epoch), _absent(run, t))[what] for what in ("ap", "val_loss") for t in TWINS]


def epochs(run: Run) -> Table:
    """Return every epoch of every training: what the curves are drawn of."""
    return Table(
        name="epochs",
        title="Every epoch",
        columns=tuple(
            Column(name, name, kind="text" if kind == "string" else "number")
            for name, (kind, _) in EPOCHS.items()
        ),
        rows=tuple(Row(tuple(row.values())) for row in epoch_rows(run)),
        note="; ".join(f"{name}: {what}" for name, (_, what) in EPOCHS.items()) + ".",
        command=command(run, "train"),
        source="train/*/epochs.jsonl",
    )


def _absent(run: Run, twin: str) -> dict[str, Value]:
    """Return what stands in place of an epoch that a twin has not."""
    why = "is not trained in this run"
    if twin in run.training:
        why = "stopped before this epoch" if run.training[twin].summary else "has not reached this epoch"
    return dict.fromkeys(EPOCHS, Absent(f"{TWIN_NAMES[twin]} {why}"))


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


def _trained(twin: str, found: TrainingHistory) -> tuple[Value, ...]:
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


def _sum(found: TrainingHistory, what: str) -> Value:
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
