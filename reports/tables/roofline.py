"""The table of the roofline: what each cell reaches of what the machine allows it."""

from __future__ import annotations

from reports.formats import number, percent
from reports.frames.roofline_rows import RooflinePoint, points
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import cells


def table(run: Run) -> Table | None:
    """Return a row for each cell below the roof; None without ceilings."""
    found = points(run)
    if not found:
        return None
    return Table(
        name="roofline",
        title="Below the roof",
        columns=(
            Column("name", "Cell"),
            Column("flop_per_byte", "FLOP a byte", number, "number"),
            Column("gflops", "GFLOP/s", number, "number"),
            Column("roof_gflops", "Roof GFLOP/s", number, "number"),
            Column("share", "Of roof", percent, "number"),
            *csv_only("id", "peak_gflops", "bandwidth_gb_s"),
        ),
        rows=tuple(Row(_values(one), cells.heading(one.cell.axes.lane)) for one in found),
        note="Two FLOP a multiply-add. Bytes count each layer's input, weights and output once. The roof is "
        "the lower of the peak and of bandwidth times FLOP a byte, both measured on this machine; above it, "
        "the caches gave what memory could not, or the ceiling was disturbed.",
        command=command(run, "bench"),
        source="bench/cells/*.json and bench/bench.json",
        grouped_by="Lane",
    )


def _values(one: RooflinePoint) -> tuple[str | float, ...]:
    figures = (one.flop_per_byte, one.gflops, one.roof_gflops, one.gflops / one.roof_gflops)
    return cells.name(one.cell.axes), *figures, one.cell.id, one.peak_gflops, one.bandwidth_gb_s
