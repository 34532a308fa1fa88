"""The table of how latencies are spread within a cell."""

from __future__ import annotations

import numpy as np

from reports.formats import milliseconds, percent
from reports.frames.durations import QUANTILES, lanes_with_queries
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import cells


def table(run: Run) -> Table | None:
    """Return a row for each cell whose durations are in the run; None without any."""
    lanes, left_out = lanes_with_queries(run)
    if not lanes:
        return None
    axes = {cell.id: cell.axes for cell in run.cells}
    return Table(
        name="latency_distribution",
        title="How latencies are spread",
        columns=(
            Column("name", "Cell"),
            Column("queries", "Queries", kind="number"),
            *(Column(f"q{q}_ms", f"{q} % ms", milliseconds, "number") for q in QUANTILES),
            Column("spread", "Middle half wide", percent, "number"),
            *csv_only("id"),
        ),
        rows=tuple(
            Row((cells.name(axes[cell_id]), len(ms), *_figures(ms), cell_id), lane)
            for lane, found in lanes.items()
            for cell_id, ms in found.items()
        ),
        note="Quantiles of the queries of all rounds together; the middle half's width is a share of their "
        "median. A cell's figure is the mean of its rounds' medians, and may differ from this median."
        + left_out,
        command=command(run, "bench"),
        source="bench/cells/*-latency/round_*.npz",
        grouped_by="Lane",
    )


def _figures(ms: np.ndarray) -> tuple[float, ...]:
    found = [float(value) for value in np.percentile(ms, QUANTILES)]
    return *found, (found[3] - found[1]) / found[2]
