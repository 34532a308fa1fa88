"""The runtimes at a glance: how many times faster than the baseline each is, a panel for each lane."""

from __future__ import annotations

from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cells.scenarios import LATENCY, THROUGHPUT, TRAIN
from bench.run.results import CellResult
from reports.answers.ranking import Ranking, figure, rankings, uncertified
from reports.formats import device, ratio, times
from reports.plots import forest, style
from reports.plots.forest import SMALLEST_REACH, draw_ticks
from reports.plots.plot import Plot, Tips, drawing, name_rows, write
from reports.run.missing import command
from reports.run.read import Run
from reports.words import certification

SIDE_BY_SIDE = 3


def plot(run: Run) -> Plot | None:
    """Return a panel for each scenario and device with two arms or more; None without any."""
    asked = ((LATENCY, 1), (THROUGHPUT, None), (TRAIN, None))
    found = [one for scenario, batch in asked for one in rankings(run, scenario.name, batch=batch)]
    found = [one for one in found if len(one.leaders) > 1]
    if not found:
        return None
    tips: Tips = {}
    lines = ceil(len(found) / SIDE_BY_SIDE)
    most = max(len(one.leaders) for one in found)
    with drawing():
        drawn = Figure(figsize=(3.9 * SIDE_BY_SIDE, lines * (0.27 * most + 0.95) + 0.2))
        panels = drawn.subplots(lines, SIDE_BY_SIDE, squeeze=False).flat
        low, high = _reach(found)
        for axes, ranking in zip(panels, found, strict=False):
            _draw(run, axes, ranking, most, tips)
            draw_ticks(axes, low, high, apart=0.36)
        for axes in panels[len(found) :]:
            axes.axis("off")
        keys = forest.verdict_keys(_verdicts(found))
        drawn.legend(handles=keys, loc="outside upper left", ncols=len(keys) or 1, fontsize=8)
    bare = certification.NOTE if any(uncertified(run, one) for one in found) else ""
    return Plot(
        name="at_a_glance",
        title="The runtimes at a glance",
        note="Speed as a multiple of the baseline's, the line at 1, with the 95 % interval of that pair "
        "alone: right is faster. Verdicts are corrected for all comparisons, so that a mark may be hollow "
        f"whose interval leaves out 1. Compare within a panel only. {bare}".strip(),
        command=command(run, "bench"),
        source="bench/comparisons.json and bench/cells/*.json",
        figure=drawn,
        description="; ".join(
            f"{_heading(one)}: {', '.join(_said(one, c) for c in one.leaders)}" for one in found
        ),
        tooltips=tips,
        table="comparisons",
    )


def _reach(found: list[Ranking]) -> tuple[float, float]:
    """Return the ends of the axis that all panels share, so that lengths compare."""
    ratios = [by for one in found for cell in one.leaders if (by := one.speedup(cell, one.baseline))]
    ends = [end for by in ratios for end in by] + [1 / SMALLEST_REACH, SMALLEST_REACH]
    pad = (max(ends) / min(ends)) ** 0.06
    return min(ends) / pad, max(ends) * pad


def _verdicts(found: list[Ranking]) -> set[str]:
    return {one.verdict(cell, one.baseline) for one in found for cell in one.leaders if cell != one.baseline}


def _heading(ranking: Ranking) -> str:
    lane = ranking.lane
    name = {TRAIN.name: "Training step"}.get(lane.scenario, lane.scenario.capitalize())
    return f"{name}, {device(lane.device)}, batch {lane.batch}"


def _said(ranking: Ranking, cell: CellResult) -> str:
    """Return an arm in words: OpenVINO 2.50 ms, 2.80× [2.61, 3.02]."""
    by = ranking.speedup(cell, ranking.baseline)
    said = "" if by is None else f", {ratio(by)}"
    return f"{ranking.named(cell)} {figure(cell)}{', the baseline' if cell is ranking.baseline else said}"


def _draw(run: Run, axes: Axes, ranking: Ranking, most: int, tips: Tips) -> None:
    baseline = ranking.baseline
    axes.set_xscale("log")
    axes.axvline(1, color=style.light("muted"), linewidth=0.8, zorder=1)
    for row, cell in enumerate(ranking.leaders):
        gid = f"glance-{cell.id}"
        tips[gid] = certification.marked(run, cell, _said(ranking, cell))
        by = ranking.speedup(cell, baseline)
        if cell is not baseline and by is not None:
            forest.draw_interval(axes, row, by, ranking.verdict(cell, baseline), gid, 2.2, markersize=6)
        said = "baseline" if cell is baseline else "not ranked" if by is None else times(by[0], by[2] - by[1])
        across = {"xycoords": axes.get_yaxis_transform(), "va": "center"}
        write(axes, said, (1, row), (6, 0), **across)
        write(axes, figure(cell), (1, row), (52, 0), color=style.light("muted"), **across)
    name_rows(axes, [ranking.named(cell) for cell in ranking.leaders])
    axes.set_ylim(most - 0.45, -0.55)
    axes.set_title(_heading(ranking), color=style.light("ink"))
