"""What further seeds add to the tables of training: mean and range by epoch, and a table by seed."""

from __future__ import annotations

from bench.cells.cell import TWINS
from reports.formats import FIRST_LESS_SECOND, TWIN_NAMES, Absent, Value, difference, score
from reports.frames import over_seeds
from reports.frames.over_seeds import Spread
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only

NOT_REACHED = Absent("no seed of this twin has reached this epoch")


def columns(run: Run) -> tuple[Column, ...]:
    """Return the per-epoch table's columns of mean and range over seeds; () for a run of one seed."""
    if not run.further:
        return ()
    seen = [
        one
        for twin in TWINS
        for one in (
            Column(f"{TWIN_NAMES[twin]} mAP mean", f"{TWIN_NAMES[twin]} AP, mean of seeds", score, "number"),
            Column(f"{TWIN_NAMES[twin]} mAP range", f"{TWIN_NAMES[twin]} range", kind="number"),
        )
    ]
    ends = [f"{TWIN_NAMES[twin]} mAP {what}" for twin in TWINS for what in ("lowest", "highest", "seeds")]
    return *seen, *csv_only(*ends)


def values(run: Run, epoch: int) -> tuple[Value, ...]:
    """Return what stands in these columns for an epoch."""
    if not run.further:
        return ()
    found = [over_seeds.of_twin(run, twin, "ap").get(epoch) for twin in TWINS]
    seen: list[Value] = []
    for one in found:
        seen += [one.mean, _range(one)] if one else [NOT_REACHED, NOT_REACHED]
    ends: list[Value] = []
    for one in found:
        ends += [one.low, one.high, one.seeds] if one else [NOT_REACHED] * 3
    return *seen, *ends


def note(run: Run) -> str:
    """Return a sentence on these columns; "" for a run of one seed."""
    if not run.further:
        return ""
    first, *_ = run.by_seed
    named = ", ".join(map(str, run.by_seed))
    return (
        f" Mean and range are over the seeds {named}; the other columns are of seed {first}, whose training "
        "is converted and benched."
    )


def table(run: Run) -> Table | None:
    """Return a row for each seed: the best AP of both twins and their difference; None for one seed."""
    if not run.further:
        return None
    best = {seed: {twin: _best(run, seed, twin) for twin in TWINS} for seed in run.by_seed}
    rows = [Row((str(seed), *aps.values(), _apart(aps))) for seed, aps in best.items()]
    whole = [aps for aps in best.values() if not any(isinstance(ap, Absent) for ap in aps.values())]
    if len(whole) > 1:
        means = {t: over_seeds.spread(float(str(aps[t])) for aps in whole).mean for t in TWINS}
        rows.append(Row((f"mean of {len(whole)}", *means.values(), _apart(means))))
    return Table(
        name="seeds",
        title="Best AP by seed",
        columns=(
            Column("seed", "Seed"),
            *(Column(f"AP_{twin}", f"{TWIN_NAMES[twin]} AP", score, "number") for twin in TWINS),
            Column("difference", FIRST_LESS_SECOND, difference, "number"),
        ),
        rows=tuple(rows),
        note="COCO AP (OKS 0.50:0.95) on the validation part at the best epoch, boxes from the ground "
        "truth. A seed's two trainings share initial weights and samples. The interval over seeds stands "
        "among the accuracy differences.",
        command=command(run, "run"),
        source="train/*/summary.json and seeds/*/train/*/summary.json",
    )


def _best(run: Run, seed: int, twin: str) -> Value:
    training = run.by_seed[seed].get(twin)
    if training is None or not training.summary:
        return Absent(f"{TWIN_NAMES[twin]}: the training of seed {seed} is unfinished")
    ap = training.best.ap if training.best else None
    return Absent("no epoch was scored") if ap is None else ap


def _apart(aps: dict[str, Value] | dict[str, float]) -> Value:
    a, b = (aps[twin] for twin in TWINS)
    both = isinstance(a, float) and isinstance(b, float)
    return a - b if both else Absent("one of the two is absent", quiet=True)  # type: ignore[operator]


def _range(one: Spread) -> str:
    return f"{score(one.low)} to {score(one.high)}"
