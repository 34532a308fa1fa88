"""The figures of the bench: AP against latency, latency and throughput by runtime."""

from __future__ import annotations

from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cells.cell import Cell
from bench.cells.scenarios import LATENCY, SCENARIOS
from bench.run.results import CellResult
from reports.formats import Absent, Noted, Value, device, milliseconds, per_second, score
from reports.plots import marks, style
from reports.plots.lanes import drawn
from reports.plots.plot import Plot, Tips, drawing, name_rows, write
from reports.run.missing import command
from reports.run.read import Run
from reports.words import certification
from reports.words.cells import ap, comparable, lane, lane_key, latency, name, rate, threads
from reports.words.measurement import has_intervals

SMALLEST_AP_RANGE = 0.05
"""A narrower axis would show noise as a difference."""
MANY_LANES = 4
"""With more, the only numbered axis would be out of sight."""
SIDES = ((0, 10), (0, -10), (10, 0), (-10, 0))
"""Where a point's number may stand, in points from its middle."""
NO_INTERVAL = "One process for each cell, without an interval: do not cite a difference as a speed-up."


def _caution(run: Run) -> str:
    return "" if has_intervals(run) else NO_INTERVAL


def _number(value: Value) -> float | None:
    return None if isinstance(value, Absent | Noted | str) else float(value)


def by_runtime(run: Run, scenario: str) -> Plot | None:
    """Return a dot plot of p50 and p90 latency, or of images a second; None without such a cell."""
    cells = [c for c in run.cells if c.axes.scenario == scenario and not c.axes.replica]
    if not cells:
        return None
    lanes: dict[str, list[CellResult]] = defaultdict(list)
    for cell in sorted(cells, key=lambda c: (lane_key(c.axes), c.axes.batch)):
        lanes[f"{lane(cell.axes)}, batch {cell.axes.batch}"].append(cell)
    names, left_out = drawn(run, {name: [one.axes for one in group] for name, group in lanes.items()})
    lanes = {name: lanes[name] for name in names}
    timed = SCENARIOS[scenario].less_is_faster
    tips: Tips = {}
    with drawing():
        heights = [len(group) + 1.6 for group in lanes.values()]
        figure = Figure(figsize=(7.4, 0.27 * sum(heights) + 0.8))
        panels = figure.subplots(len(lanes), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axes, (heading, group) in zip(panels, lanes.items(), strict=True):
            (_draw_latency if timed else _draw_throughput)(run, axes, group, tips)
            axes.set_title(heading, color=style.light("ink"))
            axes.tick_params(labelbottom=len(lanes) > MANY_LANES or axes is panels[-1])
        panels[-1].set_xlabel("latency in ms: p50 (dot) to p90 (bar's end)" if timed else "images per second")
        panels[-1].set_xlim(left=0)
        marks.add_legend(figure, [cell for group in lanes.values() for cell in group])
    what = "Latency" if timed else "Throughput"
    return Plot(
        name=scenario,
        table="runtime_comparison",
        title=f"{what} by runtime",
        note=("Lower is better. " if timed else "Higher is better. ")
        + f"{left_out}{_caution(run)}{certification.note(run)}",
        command=command(run, "bench"),
        source=f"bench/cells/*-{scenario}.json",
        figure=figure,
        description=f"Dot plot of {what.lower()} by runtime, in lanes of equal device, numerics, threads, "
        "allocator and batch; its numbers are in the table of every cell.",
        tooltips=tips,
    )


def _draw_latency(run: Run, axes: Axes, group: list[CellResult], tips: Tips) -> None:
    group = sorted(group, key=lambda c: (_number(latency(c, "p50")) or float("inf"), c.id))
    for row, cell in enumerate(group):
        p50, p90 = _number(latency(cell, "p50")), _number(latency(cell, "p90"))
        if p50 is None:
            _draw_failed(axes, row, cell)
            continue
        if p90 is not None:
            axes.plot([p50, p90], [row, row], color=style.light(cell.axes.twin), linewidth=2.2, zorder=2)
        _draw_dot(run, axes, p50, row, cell, tips, f"p50 {milliseconds(p50)} ms")
    name_rows(axes, [certification.marked(run, cell, name(cell.axes)) for cell in group])


def _draw_throughput(run: Run, axes: Axes, group: list[CellResult], tips: Tips) -> None:
    group = sorted(group, key=lambda c: (-(_number(rate(c)) or -1.0), c.id))
    for row, cell in enumerate(group):
        value = _number(rate(cell))
        if value is None:
            _draw_failed(axes, row, cell)
            continue
        axes.plot([0, value], [row, row], color=style.light(cell.axes.twin), linewidth=1.0, zorder=2)
        _draw_dot(run, axes, value, row, cell, tips, f"{per_second(value)} images/s")
    name_rows(axes, [certification.marked(run, cell, name(cell.axes)) for cell in group])


def _draw_dot(
    run: Run, axes: Axes, x: float, y: float, cell: CellResult, tips: Tips, said: str, kind: str = "dot"
) -> None:
    gid = f"{kind}-{cell.id}"
    doubt = "" if cell.validity.verdict == "VALID" else f" ({cell.validity.verdict})"
    tips[gid] = certification.marked(run, cell, f"{cell.id}: {said}") + doubt
    axes.plot([x], [y], linestyle="none", gid=gid, zorder=3, clip_on=False, **marks.mark(run, cell))


def _draw_failed(axes: Axes, row: int, cell: CellResult) -> None:
    said = f"{cell.status}: see what failed"
    write(axes, said, (0, row), (6, 0), va="center", color=style.light("muted"), style="italic")


def ap_against_latency(run: Run) -> Plot | None:
    """Return AP over p50 latency, a panel for all precisions of a lane; None where no cell has both."""
    panels: dict[str, list[tuple[CellResult, float, float]]] = defaultdict(list)
    for cell in sorted(
        run.cells, key=lambda c: (c.axes.device, c.axes.batch, c.axes.threads, c.axes.allocator, c.id)
    ):
        x, y = _number(latency(cell, "p50")), _number(ap(cell, run.cells))
        if x is not None and y is not None and comparable(cell) and _drawn(cell.axes):
            panels[_panel(cell.axes)].append((cell, x, y))
    if not panels:
        return None
    timed = sum(_drawn(c.axes) for c in run.cells)
    left_out = timed - sum(map(len, panels.values()))
    names, undrawn = drawn(run, {name: [c.axes for c, _, _ in found] for name, found in panels.items()})
    panels = {name: panels[name] for name in names}
    tips: Tips = {}
    with drawing():
        most = max(x for points in panels.values() for _, x, _ in points)
        least = 3.6 if len(panels) == 1 else 2.7
        heights = [max(least, 0.2 * len(points) + 0.5) for points in panels.values()]
        figure = Figure(figsize=(7.4, sum(heights) + 0.6))
        all_axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axes, (heading, points) in zip(all_axes, panels.items(), strict=True):
            points.sort(key=lambda point: (point[1], point[0].id))
            axes.set_xlim(0, most * 1.12)
            _draw_points(run, axes, points, tips)
            _number_points(run, axes, points)
            axes.set_title(heading, color=style.light("ink"))
        all_axes[-1].set_xlabel("p50 latency in ms")
        marks.add_legend(figure, [cell for points in panels.values() for cell, _, _ in points])
    return Plot(
        name="ap_against_latency",
        table="runtime_comparison",
        title="AP against latency",
        note=f"Up and to the left is better. {marks.SHAPE_SAYS}. AP is of the same network, runtime, mode, "
        f"precision and device. {run.scored_on} "
        + (f"{left_out} of {timed} latency cells have no valid pair and are not drawn. " if left_out else "")
        + undrawn
        + _caution(run)
        + certification.note(run),
        command=command(run, "bench"),
        source="bench/cells/*-latency.json and *-accuracy.json",
        figure=figure,
        description="Scatter plot of AP over median latency, a numbered point for each measured runtime; "
        "its numbers are in the runtime comparison table.",
        tooltips=tips,
    )


def _drawn(axes: Cell) -> bool:
    """Whether a cell belongs beside an AP: latencies do, without the second arm of the A/A pair."""
    return axes.scenario == LATENCY.name and not axes.replica


def _panel(axes: Cell) -> str:
    return f"{device(axes.device)}, batch {axes.batch}, {threads(axes)}, {axes.allocator} allocator"


def _draw_points(run: Run, axes: Axes, points: list[tuple[CellResult, float, float]], tips: Tips) -> None:
    for cell, x, y in points:
        _draw_dot(run, axes, x, y, cell, tips, f"p50 {milliseconds(x)} ms, AP {score(y)}", kind="point")
    values = [y for _, _, y in points]
    middle, half = (min(values) + max(values)) / 2, max(max(values) - min(values), SMALLEST_AP_RANGE) * 0.75
    low = max(0.0, middle - half)
    axes.set_ylim(low, low + 2 * half)
    axes.set_ylabel("AP (OKS 0.50:0.95)")


def _number_points(run: Run, axes: Axes, points: list[tuple[CellResult, float, float]]) -> None:
    """Number the points from the fastest on, and name the numbers beside the panel."""
    keys, middle = [], (sum(axes.get_ylim()) / 2)
    sides: list[tuple[float, float, tuple[int, int]]] = []
    for place, (cell, x, y) in enumerate(points):
        taken = [side for other_x, other_y, side in sides if _near(axes, (x, y), (other_x, other_y))]
        first = SIDES if y >= middle else SIDES[1::-1] + SIDES[2:]
        side = next((side for side in first if side not in taken), first[0])
        sides.append((x, y, side))
        write(axes, str(place + 1), (x, y), side, ha="center", va="center")
        key = certification.marked(run, cell, f"{place + 1}  {_point_name(cell.axes)}")
        keys.append(Line2D([], [], linestyle="none", label=key, **marks.mark(run, cell)))
    axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(1.0, 1.04), fontsize=8, handletextpad=0.2)


def _near(axes: Axes, one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether numbers on the same side of two points would cover each other."""
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    return abs(one[0] - other[0]) < 0.04 * (x1 - x0) and abs(one[1] - other[1]) < 0.06 * (y1 - y0)


def _point_name(axes: Cell) -> str:
    return name(axes) + ("" if axes.precision == "fp32" else f" {axes.precision}")


def bench_plots(run: Run) -> list[Plot]:
    """Return every figure of the bench that the run has cells for."""
    of_network = (by_runtime(run, one.name) for one in SCENARIOS.values() if one.of == "network")
    found = (ap_against_latency(run), *of_network)
    return [plot for plot in found if plot]
