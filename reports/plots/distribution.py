"""How latencies are spread within a cell: the middle half, nine tenths, and the median."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.run.results import CellResult
from reports.formats import milliseconds
from reports.frames.durations import QUANTILES, lanes_with_queries
from reports.plots import marks, style
from reports.plots.plot import Plot, Tips, drawing, name_rows
from reports.run.missing import command
from reports.run.read import Run
from reports.words import cells as cells_


def plot(run: Run) -> Plot | None:
    """Return a bar of quantiles for each cell, a panel for each lane; None where no durations are kept."""
    lanes, left_out = lanes_with_queries(run)
    if not lanes:
        return None
    by_id = {cell.id: cell for cell in run.cells}
    tips: Tips = {}
    with drawing():
        heights = [len(found) + 1.6 for found in lanes.values()]
        figure = Figure(figsize=(7.4, 0.27 * sum(heights) + 0.8))
        panels = figure.subplots(len(lanes), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axes, (lane, found) in zip(panels, lanes.items(), strict=True):
            ordered = sorted(found.items(), key=lambda one: float(np.median(one[1])))
            for row, (cell_id, ms) in enumerate(ordered):
                tips |= _draw(run, axes, row, by_id[cell_id], ms)
            name_rows(axes, [cells_.name(by_id[cell_id].axes) for cell_id, _ in ordered])
            axes.set_title(lane, color=style.light("ink"))
            axes.tick_params(labelbottom=True)
        # One axis for all lanes: their queries take the same kind of time.
        panels[-1].set_xlim(left=0)
        panels[-1].set_xlabel("milliseconds of a query")
        marks.add_legend(figure, [by_id[cell_id] for found in lanes.values() for cell_id in found])
    return Plot(
        name="latency_distribution",
        title="How latencies are spread",
        note="Thick is the middle half of all queries, thin reaches from 5 to 95 %, the mark is the median."
        + left_out,
        command=command(run, "bench"),
        source="bench/cells/*-latency/round_*.npz",
        figure=figure,
        description="Bars of the quantiles of each cell's query times, by lane; a table has them.",
        tooltips=tips,
    )


def _draw(run: Run, axes: Axes, row: int, cell: CellResult, ms: np.ndarray) -> Tips:
    """Draw a cell's quantiles; return what hovering says."""
    p5, p25, p50, p75, p95 = np.percentile(ms, QUANTILES)
    colour, gid = style.light(cell.axes.twin), f"spread-{cell.id}"
    axes.plot([p5, p95], [row, row], color=colour, linewidth=1.1, zorder=2)
    axes.plot([p25, p75], [row, row], color=colour, linewidth=4.5, solid_capstyle="butt", zorder=2)
    axes.plot([p50], [row], linestyle="none", zorder=3, gid=gid, **marks.mark(run, cell))
    middle = f"{milliseconds(p50)} ms, half within {milliseconds(p25)} to {milliseconds(p75)}"
    return {gid: f"{cell.id}: median {middle}"}
