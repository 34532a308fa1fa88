"""The figure of the parity ladder: each check's error over its bound, rung by rung."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.parity.certificate import Check, Parity, Rung
from reports.plots import style
from reports.plots.plot import Plot, Tips, drawing, write
from reports.run.missing import command
from reports.run.read import Run
from reports.words import ladder

LANE = 0.17
"""Height between dots that would cover each other, in rungs."""
NEAR = 0.022
"""Dots nearer than this share of the axis would cover each other."""
CHARACTER = 0.0125
"""About the width of a label's character, as a share of the axis."""
BEYOND = 1e2
"""What failed by more would press all others together."""


@dataclass(frozen=True)
class Scale:
    """The axis, in powers of ten; zero and what failed by far have places of their own at its ends."""

    low: int
    """The lowest power of ten."""
    beyond: bool
    """Whether a check failed by far."""

    @property
    def zero(self) -> float:
        """Return where an error of exactly zero stands."""
        return self.low - 0.1 * (1 - self.low)

    @property
    def top(self) -> float:
        """Return where a check stands that failed by far, or whose error is not a number."""
        return math.log10(BEYOND) + 0.04 * (1 - self.low)

    def place(self, share: float) -> float:
        """Return where a share of a bound stands."""
        if share == 0:
            return self.zero
        return math.log10(share) if share <= BEYOND else self.top

    @property
    def ends(self) -> tuple[float, float]:
        """Return the limits of the axis."""
        margin = 0.03 * (1 - self.low)
        return self.zero - margin, (self.top if self.beyond else 0) + margin


def share(check: Check) -> float:
    """Return measured / bound: 0 for an exact zero, infinity for a missed zero and for no number."""
    if check.measured is None or check.bound is None:
        return math.inf
    if check.measured == 0:
        return 0.0
    return abs(check.measured / check.bound) if check.bound > 0 else math.inf


def errors(run: Run) -> Plot | None:
    """Return the dots of all judged checks, a line for each rung; None without parity.json."""
    if run.parity is None:
        return None
    tips: Tips = {}
    with drawing():
        figure = Figure(figsize=(7.4, 0.5 * len(run.parity.rungs) + 0.8))
        _draw(figure.add_subplot(), run.parity, tips)
    return Plot(
        name="parity_errors",
        table="parity",
        title="Measured error over its bound",
        note="A dot is a check that passed, left of the line; a cross is one that failed. Checks without "
        "any error stand at 0, with their number. Each rung names its check nearest to the bound.",
        command=run.parity.command or command(run, "parity"),
        source="parity.json",
        figure=figure,
        description="Dot plot of measured error over bound on a logarithmic axis, a line for each rung of "
        "the ladder; its numbers are in the table of every check.",
        tooltips=tips,
    )


def judged(rung: Rung) -> list[Check]:
    """Return the checks that passed or failed, the best first."""
    return sorted((check for check in rung.checks if check.passed is not None), key=share)


def _draw(axes: Axes, parity: Parity, tips: Tips) -> None:
    shares = [share(check) for rung in parity.rungs for check in judged(rung)]
    least = min((value for value in shares if 0 < value <= BEYOND), default=0.1)
    scale = Scale(min(-1, math.floor(math.log10(least))), max(shares, default=0.0) > 1)
    axes.axvline(0, color=style.light("ink"), linewidth=1.1, zorder=1)
    for row, rung in enumerate(parity.rungs):
        _draw_rung(axes, row, rung, scale, tips)
    _name_axes(axes, parity, scale)


def _draw_rung(axes: Axes, row: int, rung: Rung, scale: Scale, tips: Tips) -> None:
    found = judged(rung)
    if not found or rung.status in {"unsupported", "not climbed"}:
        _write(axes, scale.zero, row, f"{rung.status}: {rung.reason or 'no reason recorded'}", slanted=True)
        return
    exact = [check for check in found if share(check) == 0]
    if exact:
        gid = f"exact-{rung.number}"
        tips[gid] = f"{rung.name}, without any error: {'; '.join(check.name for check in exact)}"
        _dot(axes, scale.zero, row, gid, passed=True)
        _write(axes, scale.zero, row, f"× {len(exact)}")
    placed: list[tuple[float, float]] = []
    for number, check in enumerate(found[len(exact) :]):
        gid, x = f"check-{rung.number}-{number}", scale.place(share(check))
        offset = _free(x, placed, NEAR * (1 - scale.low))
        placed.append((x, offset))
        tips[gid] = f"{rung.name}, {check.name}: {ladder.against(check)}"
        _dot(axes, x, row + offset, gid, passed=bool(check.passed))
    if placed:
        _name_worst(axes, row, found[-1], placed[-1][0], scale)


def _free(x: float, placed: list[tuple[float, float]], near: float) -> float:
    """Return the offset from the rung's line, nearest to it, at which a dot at `x` covers no other."""
    taken = {round(offset / LANE) for other, offset in placed if abs(other - x) < near}
    return LANE * next((lane for lane in (0, -1, -2) if lane not in taken), 0)


def _dot(axes: Axes, x: float, y: float, gid: str, *, passed: bool) -> None:
    axes.plot(
        *([x], [y]),
        color=style.light("pass" if passed else "fail"),
        linestyle="none",
        marker="o" if passed else "X",
        markersize=5.5 if passed else 8,
        markeredgewidth=0.6,
        markeredgecolor=style.light("ground"),
        gid=gid,
        zorder=3,
        clip_on=False,
    )


def _name_worst(axes: Axes, row: int, check: Check, x: float, scale: Scale) -> None:
    """Write a check's name under its dot, to the side that has room, or across it where neither has."""
    low, high = scale.ends
    width = CHARACTER * (high - low) * len(check.name)
    if x - low > width:
        at, shift, ends = x, 4, "right"
    elif high - x > width:
        at, shift, ends = x, -4, "left"
    else:
        at, shift, ends = (low + high) / 2, 0, "center"
    write(
        *(axes, check.name, (at, row), (shift, -11)),
        ha=ends,
        va="center",
        color=style.light("muted" if check.passed else "fail"),
        weight="normal" if check.passed else "bold",
        # The ground behind a name keeps it legible where it crosses the bound.
        bbox={"facecolor": style.light("ground"), "edgecolor": "none", "pad": 0.6},
        zorder=2,
    )


def _write(axes: Axes, x: float, row: int, text: str, *, slanted: bool = False) -> None:
    """Write what stands on a rung's line itself."""
    look = {"color": style.light("muted"), "style": "italic" if slanted else "normal"}
    write(axes, text, (x, row), (8, 0), va="center_baseline", **look)


def _name_axes(axes: Axes, parity: Parity, scale: Scale) -> None:
    every = math.ceil(-scale.low / 8)
    powers = range(0, scale.low - 1, -every)
    ticks = {scale.zero: "0"} | {float(p): f"$10^{{{p}}}$" if p else "1: bound" for p in powers}
    if scale.beyond:
        ticks |= {1.0: "10", scale.top: "beyond"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(*scale.ends)
    axes.set_xlabel("measured error / bound (log scale)")
    rows = [f"{rung.number}  {rung.name}" for rung in parity.rungs]
    axes.set_yticks(range(len(rows)), rows, color=style.light("ink"), ha="left")
    axes.tick_params(axis="y", length=0, pad=96)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.spines["left"].set_visible(False)
