"""Where the time of a query or of a training step goes: spans of the pipeline, phases of a step."""

from __future__ import annotations

from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.run.results import CellResult
from reports.formats import milliseconds
from reports.plots import style
from reports.plots.lanes import drawn
from reports.plots.plot import Plot, Tips, drawing, name_rows
from reports.run.missing import command
from reports.run.read import Run
from reports.words import cells as cells_
from reports.words import certification
from reports.words.breakdown import PIPELINE, TRAIN, Breakdown, cells_of, names_of, parts_of

NARROWEST_LABEL = 0.07
"""Share of the axis below which a part's figure would not fit into its bar."""


def plot(run: Run, kind: Breakdown) -> Plot | None:
    """Return stacked bars of the parts, a bar for each cell, by lane; None where no cell has parts."""
    cells = [c for c in cells_of(run, kind) if parts_of(c, kind) and cells_.comparable(c)]
    if not cells:
        return None
    names = names_of(cells, kind)
    lanes: dict[str, list[CellResult]] = defaultdict(list)
    for cell in cells:
        lanes[cells_.heading(cell.axes.lane)].append(cell)
    kept, left_out = drawn(run, {name: [c.axes for c in group] for name, group in lanes.items()})
    lanes = {name: lanes[name] for name in kept}
    tips: Tips = {}
    with drawing():
        heights = [len(group) + 1.5 for group in lanes.values()]
        figure = Figure(figsize=(7.4, 0.3 * sum(heights) + 0.95))
        panels = figure.subplots(len(lanes), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        longest = max(sum(max(ms, 0.0) for ms in parts_of(cell, kind).values()) for cell in cells)
        for axes, (heading, group) in zip(panels, lanes.items(), strict=True):
            for row, cell in enumerate(group):
                parts, narrowest = parts_of(cell, kind), NARROWEST_LABEL * longest
                tips |= _draw_bar(axes, row, cell.id, parts, names, narrowest)
            name_rows(axes, [certification.marked(run, cell, cells_.name(cell.axes)) for cell in group])
            axes.set_title(heading, color=style.light("ink"))
        panels[-1].set_xlim(0, longest * 1.02)
        panels[-1].set_xlabel("milliseconds")
        figure.legend(handles=_legend(names), loc="outside upper left", ncols=len(names), fontsize=8)
    return Plot(
        name=f"{kind.scenario}_parts",
        title=kind.title,
        note=f"{kind.note(cells)} The parts stand in the order of the legend. "
        f"Invalid cells are left to the table. {left_out}{certification.note(run)}",
        command=command(run, "bench"),
        source=f"bench/cells/*-{kind.scenario}*.json",
        figure=figure,
        description=f"Stacked bars of {kind.title[0].lower()}{kind.title[1:]}; its numbers are in a table.",
        tooltips=tips,
    )


def _legend(names: list[str]) -> list[Patch]:
    said = [name.replace("_", " ") for name in names]
    return [Patch(facecolor=_colour(i), linewidth=0, label=name) for i, name in enumerate(said)]


def _colour(place: int) -> str:
    return style.light(style.PARTS[place % len(style.PARTS)])


def _draw_bar(
    axes: Axes, row: int, cell_id: str, parts: dict[str, float], names: list[str], narrowest: float
) -> Tips:
    """Draw a cell's parts, those above `narrowest` with their figure; return what hovering says."""
    tips: Tips = {}
    left = 0.0
    for place, name in enumerate(names):
        # A phase is a difference of two medians, and of a small one noise may make a negative.
        width, gid = max(parts.get(name, 0.0), 0.0), f"part-{place}-{cell_id}"
        tips[gid] = f"{cell_id}: {name} {milliseconds(parts.get(name, 0.0))} ms"
        look = {"color": _colour(place), "edgecolor": style.light("ground"), "linewidth": 0.8}
        axes.barh(row, width, 0.74, left, **look)[0].set_gid(gid)  # type: ignore[arg-type]
        if width > narrowest:
            axes.text(left + width / 2, row, milliseconds(width), ha="center", va="center", fontsize=8)
        left += width
    return tips


def plots(run: Run) -> list[Plot]:
    """Return the stacked bars of every scenario that has parts."""
    return [found for kind in (PIPELINE, TRAIN) if (found := plot(run, kind))]
