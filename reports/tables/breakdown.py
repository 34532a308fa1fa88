"""The tables of where the time goes."""

from __future__ import annotations

from bench.run.results import CellResult
from reports.formats import Absent, Value, milliseconds, or_absent
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import cells as cells_
from reports.words import certification
from reports.words.breakdown import PIPELINE, TRAIN, Breakdown, cells_of, names_of, parts_of, whole_of


def table(run: Run, kind: Breakdown) -> Table | None:
    """Return a row for each cell of the scenario, a column for each part; None where no cell has parts."""
    cells = cells_of(run, kind)
    if not (names := names_of(cells, kind)):
        return None
    return Table(
        name=f"{kind.scenario}_parts",
        title=kind.title,
        columns=(
            Column("name", "Cell"),
            *(
                Column(f"{n}_ms", f"{n.replace('_', ' ').capitalize()} ms", milliseconds, "number")
                for n in names
            ),
            Column("whole_ms", "Together ms", milliseconds, "number"),
            *csv_only("id"),
        ),
        rows=tuple(
            Row(_values(run, c, kind, names), cells_.heading(c.axes.lane), muted=not cells_.comparable(c))
            for c in cells
        ),
        note=kind.note(cells),
        command=command(run, "bench"),
        source=f"bench/cells/*-{kind.scenario}*.json",
        grouped_by="Lane",
    )


def _values(run: Run, cell: CellResult, kind: Breakdown, names: list[str]) -> tuple[Value, ...]:
    parts = parts_of(cell, kind)
    label = certification.marked(run, cell, cells_.name(cell.axes))
    if cell.status != "ok":
        failed = cells_.failed(cell)
        quiet = Absent(failed.reason, quiet=True)
        return label, *([failed] + [quiet] * len(names)), cell.id
    figures = [or_absent(parts.get(name), "this cell has no such part") for name in names]
    return label, *figures, or_absent(whole_of(cell, kind), "the cell recorded no parts"), cell.id


def tables(run: Run) -> list[Table]:
    """Return the tables of every scenario that has parts."""
    return [found for kind in (PIPELINE, TRAIN) if (found := table(run, kind))]
