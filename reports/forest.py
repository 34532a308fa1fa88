"""The forest plot: every paired speed-up with its interval, beside the noise floor and the margin of 2 %."""

from __future__ import annotations

from itertools import groupby
from math import log

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from reports import certified, comparing, measurement, style
from reports.comparing import MARGIN, NOT_RANKED, Pair
from reports.formats import times, times_interval
from reports.parts import command
from reports.plots import Plot, drawing
from reports.run import Run

MANY_ROWS = 5
"""A panel with as many numbers its own axis: the figure's is far below."""
ROW_INCHES = 0.215
LONGEST_REASON = 66
"""Characters of a reason in the plot; hovering and the table give it whole."""
TICKS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
CLOSEST_TICKS = 0.045
"""Share of the axis between two labelled ticks."""
SMALLEST_REACH = 1.1
"""A narrower axis would show noise as a difference."""

MARKS = {
    "faster": ("o", True, "ink"),
    "slower": ("o", True, "ink"),
    "equivalent": ("D", False, "ink"),
    "inconclusive": ("o", False, "muted"),
}
"""Verdict -> marker, whether it is filled, and colour: shape and filling say it without colour."""


def plot(run: Run) -> Plot | None:
    """Return the forest plot of a run's comparisons, a panel for each lane and set; None without any."""
    found = comparing.pairs(run)
    if not found:
        return None
    panels = [(name, list(members)) for name, members in groupby(found, comparing.group)]
    floor = measurement.noise_floor(run)
    tips: dict[str, str] = {}
    with drawing():
        heights = [len(members) + 2.0 for _, members in panels]
        figure = Figure(figsize=(9.4, ROW_INCHES * sum(heights) + 0.9))
        drawn = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        low, high = _reach(found, floor)
        for axes, (name, members) in zip(drawn, panels, strict=True):
            axes.set_xscale("log")
            axes.set_xlim(low, high)
            _draw_ground(axes, floor)
            _draw_pairs(axes, members, tips)
            _draw_ticks(axes, low, high, labelled=axes is drawn[-1] or len(members) >= MANY_ROWS)
            axes.set_title(name, color=style.light("ink"))
        drawn[-1].set_xlabel("how many times A is faster than B (log scale), with its 95 % interval")
        figure.legend(handles=_legend(floor), loc="outside upper left", ncols=5, fontsize=8)
    return Plot(
        name="comparisons",
        title="Paired speed-ups",
        note="To the right of 1, A is faster. " + _note(floor) + certified.note(run),
        command=command(run, "bench"),
        source="bench/comparisons.json and bench/bench.json",
        figure=figure,
        description="Forest plot: a row for each comparison of two cells of a lane, with its speed-up and "
        "95 % interval on a logarithmic axis; its numbers are in the table of comparisons.",
        tooltips=tips,
    )


def _note(floor: tuple[float, float, float] | None) -> str:
    band = "The band is ±2 %, within which two cells are equivalent. "
    if floor is None:
        return band + "This run has no noise floor: no cell was measured against itself."
    _, low, high = floor
    ends = times_interval(low, high)
    return band + f"Dashed is the noise floor {ends}: what a cell differs from itself."


def _reach(found: list[Pair], floor: tuple[float, float, float] | None) -> tuple[float, float]:
    ends = [end for pair in found if pair.verdict != NOT_RANKED and pair.speedup for end in pair.speedup]
    ends += list(floor or ())
    low, high = min([1 / SMALLEST_REACH, *ends]), max([SMALLEST_REACH, *ends])
    pad = (high / low) ** 0.03
    return low / pad, high * pad


def _draw_ground(axes: Axes, floor: tuple[float, float, float] | None) -> None:
    axes.axvspan(1 / (1 + MARGIN), 1 + MARGIN, color=style.light("band"), linewidth=0, zorder=0)
    axes.axvline(1, color=style.light("muted"), linewidth=0.8, zorder=1)
    for end in floor[1:] if floor else ():
        axes.axvline(end, color=style.light("noise"), linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)


def _draw_pairs(axes: Axes, members: list[Pair], tips: dict[str, str]) -> None:
    right = axes.get_yaxis_transform()
    for row, pair in enumerate(members):
        gid = f"pair-{pair.found.set_.replace(' ', '-')}-{pair.found.a}-{pair.found.b}"
        tips[gid] = f"{pair.found.a} against {pair.found.b}: {pair.said}" + (
            f" ({pair.reason})" if pair.reason else ""
        )
        ranked = pair.verdict != NOT_RANKED
        colour = style.light("ink" if ranked else "muted")
        if ranked:
            _draw_interval(axes, row, pair, gid)
        else:
            said = pair.reason if len(pair.reason) <= LONGEST_REASON else f"{pair.reason[:LONGEST_REASON]}…"
            axes.text(
                *(0.008, row, said),
                transform=right,
                va="center",
                fontsize=7.5,
                style="italic",
                color=colour,
                gid=gid,
                bbox={"facecolor": style.light("ground"), "linewidth": 0, "pad": 1},
            )
        for points, said in ((7, _figures(pair)), (118, pair.verdict)):
            axes.annotate(
                said,
                (1, row),
                xycoords=right,
                xytext=(points, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=colour,
            )
    names = [" vs ".join(pair.names) for pair in members]
    axes.set_yticks(range(len(members)), names, fontsize=8)
    for label, pair in zip(axes.get_yticklabels(), members, strict=True):
        label.set_color(style.light("muted" if pair.verdict == NOT_RANKED else "ink"))
    axes.set_ylim(len(members) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def _figures(pair: Pair) -> str:
    if pair.verdict == NOT_RANKED or pair.speedup is None:
        return ""
    value, low, high = pair.speedup
    return f"{times(value, high - low)} {times_interval(low, high)}"


def _draw_interval(axes: Axes, row: int, pair: Pair, gid: str) -> None:
    value, low, high = pair.speedup or (1.0, 1.0, 1.0)
    marker, filled, role = MARKS.get(pair.verdict, MARKS["inconclusive"])
    colour = style.light(role)
    axes.plot([low, high], [row, row], color=colour, linewidth=1.7, solid_capstyle="butt", zorder=2)
    axes.plot(
        *([value], [row]),
        linestyle="none",
        marker=marker,
        markersize=5.2,
        markeredgewidth=1.2,
        markeredgecolor=colour,
        markerfacecolor=colour if filled else style.light("ground"),
        gid=gid,
        zorder=3,
    )


def _draw_ticks(axes: Axes, low: float, high: float, *, labelled: bool) -> None:
    span, kept = log(high / low), [1.0]
    # From 1 outwards, so that it is always there.
    for tick in sorted((t for t in TICKS if low <= t <= high), key=lambda t: (abs(log(t)), t)):
        if all(abs(log(tick / other)) / span > CLOSEST_TICKS for other in kept):
            kept.append(tick)
    kept.sort()
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:g}×" for tick in kept]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelbottom=labelled)


def _legend(floor: tuple[float, float, float] | None) -> list[Artist]:
    named = {"faster": "faster or slower", "equivalent": "equivalent", "inconclusive": "inconclusive"}
    handles: list[Artist] = [
        Line2D(
            *([], []),
            marker=MARKS[verdict][0],
            linestyle="-",
            linewidth=1.7,
            markersize=5.2,
            color=style.light(MARKS[verdict][2]),
            markerfacecolor=style.light(MARKS[verdict][2] if MARKS[verdict][1] else "ground"),
            label=label,
        )
        for verdict, label in named.items()
    ]
    handles.append(Patch(facecolor=style.light("band"), linewidth=0, label="±2 %"))
    if floor:
        dashes = {"linestyle": (0, (3, 2)), "color": style.light("noise")}
        handles.append(Line2D([], [], linewidth=0.9, label="noise floor (A/A)", **dashes))  # type: ignore[arg-type]
    return handles
