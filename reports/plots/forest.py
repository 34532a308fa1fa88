"""The forest plot: every paired speed-up with its interval, its lane's noise floor and the margin of 2 %."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from math import log, nan
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from bench.statistics.paired import MARGIN
from bench.verdicts.comparisons import NOISE_FLOOR
from reports.formats import ratio, times_interval
from reports.plots import style
from reports.plots.lanes import drawn
from reports.plots.plot import Plot, Tips, drawing, write
from reports.run.missing import command
from reports.run.read import Run
from reports.words import cells as cells_
from reports.words import certification, comparisons
from reports.words.comparisons import NOT_RANKED, RankedPair

ROW_INCHES = 0.2
HEADING_ROWS = 1.7
"""Room for a heading above the rows of its lane, in rows."""
LONGEST_REASON = 66
"""Characters of a reason in the plot; hovering and the table give it whole."""
TICKS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
CLOSEST_TICKS = 0.09
"""Share of the axis between two labelled ticks."""
MOST_PAIRS = 60
"""About three screens."""
SMALLEST_REACH = 1.1
"""A narrower axis would show noise as a difference."""

MARKS = {
    "faster": ("o", True, "ink"),
    "slower": ("o", True, "ink"),
    "equivalent": ("D", True, "ink"),
    "inconclusive": ("o", False, "muted"),
}
"""Verdict -> marker, whether it is filled, and colour: hollow is inconclusive, here and in every figure."""

FLOOR_LOOK: dict[str, Any] = {
    "color": style.light("noise"),
    "linewidth": 0.9,
    "linestyle": (0, (3, 2)),
    "zorder": 1,
}
Floors = dict[str, tuple[float, float, float]]
"""Of each lane with an A/A pair: how many times its second arm is faster, with the ends of the interval."""


def plot(run: Run) -> Plot | None:
    """Return the forest plot of a run's comparisons, grouped by lane and set; None without any."""
    found = comparisons.pairs(run)
    if not found:
        return None
    of_lane = {name: list(members) for name, members in groupby(found, comparisons.group)}
    cells = {name: [pair.a.axes for pair in of if pair.a] for name, of in of_lane.items()}
    kept, left_out = drawn(run, cells, MOST_PAIRS)
    found = [pair for name in kept for pair in of_lane[name]]
    rows, headings, bottom = _places(found)
    floors = _floors(found)
    tips: Tips = {}
    with drawing():
        figure = Figure(figsize=(9.4, ROW_INCHES * bottom + 0.9))
        axes = figure.add_subplot()
        axes.set_xscale("log")
        _draw_ground(axes)
        _draw_floors(axes, rows, floors)
        for y, pair in rows:
            _draw_pair(axes, y, pair, tips)
        for y, name in headings:
            _write(axes, 0.0, y, name, 9, "ink")
        _name_rows(axes, rows, bottom)
        draw_ticks(axes, *_reach(found, floors))
        # Both ends have the numbers: the plot may be taller than a screen.
        axes.tick_params(axis="x", labeltop=True, top=True)
        axes.set_xlabel("how many times A is faster than B (log scale), with its 95 % interval")
        figure.legend(handles=_legend(floors), loc="outside upper left", ncols=5, fontsize=8)
    return Plot(
        name="comparisons",
        title="Paired speed-ups",
        note="To the right of 1, A is faster. " + left_out + _note(found, floors) + certification.note(run),
        command=command(run, "bench"),
        source="bench/comparisons.json and bench/bench.json",
        figure=figure,
        description="Forest plot: a row for each comparison of two cells of a lane, with its speed-up and "
        "95 % interval on a logarithmic axis; its numbers are in the table of comparisons.",
        tooltips=tips,
    )


def _floors(found: list[RankedPair]) -> Floors:
    return {
        pair.found.lane: pair.speedup
        for pair in found
        if pair.found.set == NOISE_FLOOR and pair.verdict != NOT_RANKED and pair.speedup
    }


def _places(found: list[RankedPair]) -> tuple[list[tuple[float, RankedPair]], list[tuple[float, str]], float]:
    """Return where each row and each heading of a lane and set stands, downwards, and where they end."""
    rows: list[tuple[float, RankedPair]] = []
    headings: list[tuple[float, str]] = []
    y = 0.0
    for name, members in groupby(found, comparisons.group):
        headings.append((y, name))
        for pair in members:
            y += 1
            rows.append((y, pair))
        y += HEADING_ROWS
    return rows, headings, y - HEADING_ROWS + 1


def _note(found: list[RankedPair], floors: Floors) -> str:
    band = "The band is ±2 %, within which two cells are equivalent. "
    if not floors:
        measured = any(pair.found.set == NOISE_FLOOR for pair in found)
        why = "its A/A pair is not ranked" if measured else "no cell was measured against itself"
        return f"{band}This run has no noise floor: {why}."
    named = {pair.found.lane: cells_.heading(pair.a.axes.lane) for pair in found if pair.a}
    said = "; ".join(
        f"{times_interval(*ends)} in {named.get(lane, lane)}" for lane, (_, *ends) in floors.items()
    )
    others = "" if len(floors) == len({pair.found.lane for pair in found}) else " Other lanes measured none."
    return f"{band}Dashed is a lane's noise floor, what a cell differs from itself: {said}.{others}"


def _reach(found: list[RankedPair], floors: Floors) -> tuple[float, float]:
    ends = [end for pair in found if pair.verdict != NOT_RANKED and pair.speedup for end in pair.speedup]
    ends += [end for floor in floors.values() for end in floor]
    low, high = min([1 / SMALLEST_REACH, *ends]), max([SMALLEST_REACH, *ends])
    pad = (high / low) ** 0.03
    return low / pad, high * pad


def _draw_ground(axes: Axes) -> None:
    axes.axvspan(1 / (1 + MARGIN), 1 + MARGIN, color=style.light("band"), linewidth=0, zorder=0)
    axes.axvline(1, color=style.light("muted"), linewidth=0.8, zorder=1)


def _draw_floors(axes: Axes, rows: list[tuple[float, RankedPair]], floors: Floors) -> None:
    """Draw each noise floor beside the rows of the lane that measured it, and beside no other's."""
    for lane, (_, *ends) in floors.items():
        within = [y for y, pair in rows if pair.found.lane == lane]
        span = [min(within) - 0.5, max(within) + 0.5]
        xs, ys = [*ends[:1] * 2, nan, *ends[1:] * 2], [*span, nan, *span]
        axes.plot(xs, ys, gid=f"floor-{lane}", **FLOOR_LOOK)


def _draw_pair(axes: Axes, y: float, pair: RankedPair, tips: Tips) -> None:
    gid = f"pair-{pair.found.set.replace(' ', '-')}-{pair.found.a}-{pair.found.b}"
    said = f" ({pair.reason})" if pair.reason else ""
    tips[gid] = f"{pair.found.a} against {pair.found.b}: {pair.said}{said}"
    colour = _ink(pair)
    if pair.verdict == NOT_RANKED:
        _write_reason(axes, y, pair, gid)
    else:
        draw_interval(axes, y, pair.speedup or (1.0, 1.0, 1.0), pair.verdict, gid, 1.7, markeredgewidth=1.2)
    for points, text in ((7, _figures(pair)), (118, pair.verdict)):
        write(axes, text, (1, y), (points, 0), xycoords=axes.get_yaxis_transform(), va="center", color=colour)


def _ink(pair: RankedPair) -> str:
    return style.light("muted" if pair.verdict == NOT_RANKED else "ink")


def _write_reason(axes: Axes, y: float, pair: RankedPair, gid: str) -> None:
    long = len(pair.reason) > LONGEST_REASON
    said = f"{pair.reason[:LONGEST_REASON]}…" if long else pair.reason
    _write(axes, 0.008, y, said, 7.5, "muted", style="italic", gid=gid)


def _write(axes: Axes, x: float, y: float, said: str, size: float, role: str, **more: str) -> None:
    """Write inside the plot, on the ground: the band and the grid would cross the words."""
    axes.text(
        *(x, y, said),
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=size,
        color=style.light(role),
        bbox={"facecolor": style.light("ground"), "linewidth": 0, "pad": 1},
        **more,  # type: ignore[arg-type]
    )


def _name_rows(axes: Axes, rows: list[tuple[float, RankedPair]], bottom: float) -> None:
    axes.set_yticks([y for y, _ in rows], [" vs ".join(pair.names) for _, pair in rows], fontsize=8)
    for label, (_, pair) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(_ink(pair))
    axes.set_ylim(bottom - 0.3, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def _figures(pair: RankedPair) -> str:
    if pair.verdict == NOT_RANKED or pair.speedup is None:
        return ""
    return ratio(pair.speedup)


def draw_interval(
    axes: Axes, y: float, by: tuple[float, float, float], verdict: str, gid: str, width: float, **point: Any
) -> None:
    """Draw a ratio and its interval as its verdict is drawn; point: what is otherwise about its mark."""
    value, low, high = by
    look = mark(verdict)
    axes.plot([low, high], [y, y], color=look["color"], linewidth=width, solid_capstyle="butt", zorder=2)
    axes.plot([value], [y], linestyle="none", gid=gid, zorder=3, **look | point)


def mark(verdict: str) -> dict[str, Any]:
    """Return how a verdict's point is drawn."""
    marker, filled, role = MARKS.get(verdict, MARKS["inconclusive"])
    inside = style.light(role if filled else "ground")
    return {"marker": marker, "markersize": 5.2, "color": style.light(role), "markerfacecolor": inside}


def draw_ticks(axes: Axes, low: float, high: float, apart: float = CLOSEST_TICKS) -> None:
    """Give a logarithmic axis of ratios its limits and round ticks, each `apart` of the axis from another."""
    axes.set_xlim(low, high)
    span, kept = log(high / low), [1.0]
    # From 1 outwards, so that it is always there.
    for tick in sorted((t for t in TICKS if low <= t <= high), key=lambda t: (abs(log(t)), t)):
        if all(abs(log(tick / other)) / span > apart for other in kept):
            kept.append(tick)
    kept.sort()
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:g}×" for tick in kept]))
    axes.xaxis.set_minor_locator(NullLocator())


def verdict_keys(verdicts: Collection[str]) -> list[Artist]:
    """Return what a legend says of the marks of comparisons with these verdicts."""
    named = {
        "faster or slower": {"faster", "slower"},
        "equivalent": {"equivalent"},
        "hollow: inconclusive": {"inconclusive"},
    }
    return [
        Line2D([], [], linestyle="-", linewidth=1.7, label=label, **mark(min(of)))
        for label, of in named.items()
        if of & set(verdicts)
    ]


def _legend(floors: Floors) -> list[Artist]:
    handles = verdict_keys(MARKS)
    handles.append(Patch(facecolor=style.light("band"), linewidth=0, label="±2 %"))
    if floors:
        handles.append(Line2D([], [], label="noise floor (A/A) of the lane", **FLOOR_LOOK))
    return handles
