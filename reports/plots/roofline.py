"""The roofline: GFLOP/s over FLOP a byte, below what this machine's memory and arithmetic allow."""

from __future__ import annotations

from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from reports.formats import number
from reports.frames.roofline_rows import RooflinePoint, points
from reports.plots import marks, style
from reports.plots.plot import Plot, Tips, drawing, write
from reports.run.missing import command
from reports.run.read import Run
from reports.words import cells

MOST_POINTS = 24
LARGEST = 10.0


def plot(run: Run) -> Plot | None:
    """Return the roofs of each precision and the cells below them; None without ceilings."""
    found = points(run)
    if not found:
        return None
    shown, tips = found[:MOST_POINTS], Tips()
    with drawing():
        figure = Figure(figsize=(7.4, max(3.6, 0.19 * len(shown) + 0.6) + 0.3))
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        _draw_roofs(axes, found)
        keys = []
        for place, one in enumerate(shown, 1):
            gid, look = f"roof-{one.cell.id}", marks.mark(run, one.cell, _size(one))
            tips[gid] = (
                f"{one.cell.id}: {number(one.gflops)} GFLOP/s at {number(one.flop_per_byte)} FLOP a byte"
            )
            axes.plot([one.flop_per_byte], [one.gflops], linestyle="none", gid=gid, zorder=3, **look)
            # On both sides in turn: cells of one batch stand above each other.
            side: dict[str, Any] = {"ha": "left"} if place % 2 else {"ha": "right"}
            at, beside = (one.flop_per_byte, one.gflops), 3 + _size(one) / 2
            write(axes, str(place), at, (beside if place % 2 else -beside, 0), va="center", **side)
            keys.append(Line2D([], [], linestyle="none", label=f"{place}  {_name(one)}", **look))
        axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.0, 1.04), fontsize=8, handletextpad=0.2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("FLOP a byte (log scale)")
        axes.set_ylabel("GFLOP/s (log scale)")
        marks.add_legend(figure, [one.cell for one in shown])
    gone = len(found) - len(shown)
    return Plot(
        name="roofline",
        title="Below the roof",
        note="A line is what memory (rising) or arithmetic (flat) allows at most. "
        f"{marks.SHAPE_SAYS}; the larger, the larger the batch. "
        + (f"{gone} further cells are in the table. " if gone else "")
        + "Bytes are counted, not measured: each layer moves its maps and weights once.",
        command=command(run, "bench"),
        source="bench/cells/*.json and bench/bench.json",
        figure=figure,
        description="Roofline plot: the machine's ceilings, a numbered point for each cell; see the table.",
        tooltips=tips,
    )


def _draw_roofs(axes: Axes, found: list[RooflinePoint]) -> None:
    at = [one.flop_per_byte for one in found]
    x = np.geomspace(min(at) / 3, max(at) * 3, 60)
    roofs = {one.cell.axes.precision: (one.peak_gflops, one.bandwidth_gb_s) for one in found}
    for precision, (peak, bandwidth) in roofs.items():
        axes.plot(x, np.minimum(peak, x * bandwidth), color=style.light("muted"), linewidth=1.2, zorder=1)
        write(axes, f"peak {precision} {number(peak)}", (x[0], peak), (2, 3), color=style.light("muted"))


def _size(one: RooflinePoint) -> float:
    """Return how large a point is, in points: its batch's logarithm, within what is legible."""
    return min(5.0 + log2(one.cell.axes.batch), LARGEST)


def _name(one: RooflinePoint) -> str:
    axes = one.cell.axes
    low = "" if axes.precision == "fp32" else f" {axes.precision}"
    return f"{cells.name(axes)}{low}, batch {axes.batch}"
