"""The table of AP differences: what a runtime or a precision costs, and how far the twins are apart."""

from __future__ import annotations

from collections.abc import Mapping

from bench.cells.cell import TWINS, Cell
from bench.verdicts.ap_differences import ApDifference
from reports.formats import (
    TWIN_NAMES,
    Absent,
    Noted,
    Value,
    fine_difference,
    or_absent,
    probability,
    quiet,
    rate,
    score,
)
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import cells

SAME = "The same imported weights, each twin in its own framework"
QUESTIONS = {
    "deployment": "The same weights, against the twin's own framework in strict fp32",
    "twins": "The two trainings, each in its own framework",
    "seeds": "The twins over several seeds, each at its best epoch, by ground-truth boxes",
}


OVER_SEEDS = Absent("the interval is over seeds, not over images", quiet=True)
NO_SEEDS = Absent("not over seeds", quiet=True)
UNCORRECTED = Absent("judged before p was corrected; 'twinpose bench' judges it anew", quiet=True)


def table(run: Run) -> Table | None:
    """Return a row for each difference of AP, judged or not; None where the bench scored no two cells."""
    if not run.accuracies:
        return None
    axes = {cell.id: cell.axes for cell in run.cells}

    def name(one: ApDifference, cell_id: str) -> str:
        if one.question == "seeds":
            return f"{TWIN_NAMES[cell_id]}, seeds {', '.join(map(str, one.seeds))}"
        return f"{cells.name(axes[cell_id])}, {axes[cell_id].numerics}" if cell_id in axes else cell_id

    def named(reason: str | None) -> str | None:
        for cell_id in sorted(axes, key=len, reverse=True):
            reason = reason and reason.replace(cell_id, cells.name(axes[cell_id]))
        return reason

    def device(cell_id: str) -> str:
        return axes[cell_id].device if cell_id in axes else ""

    luck = " A row of the two trainings is of one seed each, whose luck the interval does not know."
    luck = "" if run.imported else luck
    seeded = any(one.question == "seeds" for one in run.accuracies)
    over = ", or over seeds by Student's t of their differences" if seeded else ""
    return Table(
        name="accuracies",
        title="Accuracy differences",
        columns=(
            Column("a_name", "A"),
            Column("b_name", "against B"),
            Column("device", "Device"),
            Column("ap_a", "AP of A", score, "number"),
            Column("ap_b", "AP of B", score, "number"),
            Column("difference", "A − B", fine_difference, "number"),
            Column("interval", "95 % interval", kind="number"),
            Column("p_holm", "p Holm", probability, "number"),
            Column("verdict", "A is", kind="status"),
            Column("margin", "Equal within", rate, "number"),
            Column("images", "Images", kind="number"),
            *csv_only("reason", "low", "high", "a", "b", "question", "seeds", "seeds_needed"),
        ),
        rows=tuple(
            Row(
                (name(one, one.a), name(one, one.b), device(one.a), *_values(one, named(one.reason))),
                SAME
                if one.question == "twins" and run.imported
                else QUESTIONS.get(one.question, one.question),
                muted=one.verdict is None,
            )
            for one in sorted(run.accuracies, key=lambda one: _order(one, axes))
        ),
        note="AP of A less AP of B on the validation part, with the interval of a paired bootstrap over "
        f"images{over}. Equal: the interval lies within the margin; higher and lower: it leaves out 0, and "
        f"p, corrected for all rows (Holm), is at most 5 % where it is given.{luck} {run.scored_on}",
        command=command(run, "bench"),
        source="bench/accuracies.json",
        grouped_by="Question",
    )


def _order(one: ApDifference, axes: Mapping[str, Cell]) -> tuple[int, int, str]:
    """Return where a difference stands: by question, twin and cell."""
    asked = list(QUESTIONS).index(one.question) if one.question in QUESTIONS else len(QUESTIONS)
    twin = axes[one.a].twin if one.a in axes else ""
    return asked, TWINS.index(twin) if twin in TWINS else len(TWINS), one.a


def _values(one: ApDifference, reason: str | None) -> tuple[Value, ...]:
    none = Absent(reason or "no reason recorded", quiet=True)
    ends = one.interval

    def known(value: float | None) -> Value:
        return none if value is None else value

    return (
        *(known(one.ap_a), known(one.ap_b), known(one.difference)),
        f"[{fine_difference(ends[0])}, {fine_difference(ends[1])}]" if ends else none,
        UNCORRECTED if one.verdict and one.p_holm is None else known(one.p_holm),
        Noted(one.verdict or "no verdict", reason) if reason else one.verdict or "no verdict",
        known(one.margin),
        OVER_SEEDS if one.question == "seeds" else known(one.images),
        reason or Absent("nothing is missing", shown="", quiet=True),
        *(ends or (none, none)),
        *(one.a, one.b, one.question),
        " ".join(map(str, one.seeds)) or NO_SEEDS,
        quiet(or_absent(one.seeds_needed, "these decide, or it is not over seeds")),
    )
