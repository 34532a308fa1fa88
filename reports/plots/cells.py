"""The figures of the bench: AP against latency, latency and throughput by runtime."""

from __future__ import annotations

from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.cells.cell import Cell
from bench.run.results import CellResult
from reports.formats import Absent, Noted, Value, milliseconds, per_second, score
from reports.plots import label_places, style
from reports.plots.plot import MARKERS, Plot, drawing
from reports.run.missing import command
from reports.run.read import Run
from reports.words import certification
from reports.words.cells import ap, comparable, device, lane, lane_key, latency, name, rate, threads
from reports.words.measurement import has_intervals

SMALLEST_AP_RANGE = 0.05
"""A narrower axis would show noise as a difference."""
MANY_LANES = 4
"""With more, the only numbered axis would be out of sight."""
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
    lanes = defaultdict(list)
    for cell in sorted(cells, key=lambda c: (lane_key(c.axes), c.axes.batch)):
        lanes[f"{lane(cell.axes)}, batch {cell.axes.batch}"].append(cell)
    timed = scenario == "latency"
    tips: dict[str, str] = {}
    with drawing():
        heights = [len(group) + 1.6 for group in lanes.values()]
        figure = Figure(figsize=(7.4, 0.27 * sum(heights) + 0.5))
        panels = figure.subplots(len(lanes), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axes, (heading, group) in zip(panels, lanes.items(), strict=True):
            (_draw_latency if timed else _draw_throughput)(run, axes, group, tips)
            axes.set_title(heading, color=style.light("ink"))
            axes.tick_params(labelbottom=len(lanes) > MANY_LANES or axes is panels[-1])
        panels[-1].set_xlabel("latency in ms: p50 (dot) to p90 (bar's end)" if timed else "images per second")
        panels[-1].set_xlim(left=0)
    what = "Latency" if timed else "Throughput"
    return Plot(
        name=scenario,
        title=f"{what} by runtime",
        note=("Lower is better. " if timed else "Higher is better. ")
        + f"A hollow mark is flagged or invalid. {_caution(run)}{certification.note(run)}",
        command=command(run, "bench"),
        source=f"bench/cells/*-{scenario}.json",
        figure=figure,
        description=f"Dot plot of {what.lower()} by runtime, in lanes of equal device, numerics, threads, "
        "allocator and batch; its numbers are in the table of every cell.",
        tooltips=tips,
    )


def _draw_latency(run: Run, axes: Axes, group: list[CellResult], tips: dict[str, str]) -> None:
    group = sorted(group, key=lambda c: (_number(latency(c, "p50")) or float("inf"), c.id))
    for row, cell in enumerate(group):
        p50, p90 = _number(latency(cell, "p50")), _number(latency(cell, "p90"))
        if p50 is None:
            _draw_failed(axes, row, cell)
            continue
        if p90 is not None:
            axes.plot([p50, p90], [row, row], color=style.light(cell.axes.twin), linewidth=2.2, zorder=2)
        _draw_dot(run, axes, p50, row, cell, tips, f"p50 {milliseconds(p50)} ms")
    _name_rows(run, axes, group)


def _draw_throughput(run: Run, axes: Axes, group: list[CellResult], tips: dict[str, str]) -> None:
    group = sorted(group, key=lambda c: (-(_number(rate(c)) or -1.0), c.id))
    for row, cell in enumerate(group):
        value = _number(rate(cell))
        if value is None:
            _draw_failed(axes, row, cell)
            continue
        axes.plot([0, value], [row, row], color=style.light(cell.axes.twin), linewidth=1.0, zorder=2)
        _draw_dot(run, axes, value, row, cell, tips, f"{per_second(value)} images/s")
    _name_rows(run, axes, group)


def _draw_dot(
    run: Run,
    axes: Axes,
    x: float,
    y: float,
    cell: CellResult,
    tips: dict[str, str],
    said: str,
    kind: str = "dot",
) -> None:
    colour = style.light(cell.axes.twin)
    valid = cell.validity.verdict == "VALID"
    gid = f"{kind}-{cell.id}"
    tips[gid] = certification.marked(run, cell, f"{cell.id}: {said}") + (
        "" if valid else f" ({cell.validity.verdict})"
    )
    axes.plot(
        *([x], [y]),
        color=colour,
        linestyle="none",
        marker=MARKERS[cell.axes.twin],
        markersize=6.5,
        markeredgewidth=1.4,
        markeredgecolor=colour,
        markerfacecolor=colour if valid else style.light("ground"),
        gid=gid,
        zorder=3,
        clip_on=False,
    )


def _draw_failed(axes: Axes, row: int, cell: CellResult) -> None:
    axes.annotate(
        f"{cell.status}: see what failed",
        (0, row),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=style.light("muted"),
        style="italic",
    )


def _name_rows(run: Run, axes: Axes, group: list[CellResult]) -> None:
    names = [certification.marked(run, c, name(c.axes)) for c in group]
    axes.set_yticks(range(len(group)), names, color=style.light("ink"))
    axes.set_ylim(len(group) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


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
    tips: dict[str, str] = {}
    with drawing():
        figure = Figure(figsize=(7.4, (3.6 if len(panels) == 1 else 2.7) * len(panels) + 0.3))
        all_axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (heading, points) in zip(all_axes, panels.items(), strict=True):
            _draw_points(run, axes, points, tips)
            axes.set_title(heading, color=style.light("ink"))
        all_axes[-1].set_xlim(0, max(x for points in panels.values() for _, x, _ in points) * 1.12)
        all_axes[-1].set_xlabel("p50 latency in ms")
        for axes, points in zip(all_axes, panels.values(), strict=True):
            _label_points(run, figure, axes, points)
    return Plot(
        name="ap_against_latency",
        title="AP against latency",
        note="Up and to the left is better. AP is of the same network, runtime, mode, precision and device. "
        f"{run.scored_on} "
        + (f"{left_out} of {timed} latency cells have no valid pair and are not drawn. " if left_out else "")
        + _caution(run)
        + certification.note(run),
        command=command(run, "bench"),
        source="bench/cells/*-latency.json and *-accuracy.json",
        figure=figure,
        description="Scatter plot of AP over median latency, a labelled point for each measured runtime; "
        "its numbers are in the runtime comparison table.",
        tooltips=tips,
    )


def _drawn(axes: Cell) -> bool:
    """Whether a cell belongs beside an AP: latencies do, without the second arm of the A/A pair."""
    return axes.scenario == "latency" and not axes.replica


def _panel(axes: Cell) -> str:
    return f"{device(axes)}, batch {axes.batch}, {threads(axes)}, {axes.allocator} allocator"


def _draw_points(
    run: Run, axes: Axes, points: list[tuple[CellResult, float, float]], tips: dict[str, str]
) -> None:
    for cell, x, y in points:
        _draw_dot(run, axes, x, y, cell, tips, f"p50 {milliseconds(x)} ms, AP {score(y)}", kind="point")
    values = [y for _, _, y in points]
    middle, half = (min(values) + max(values)) / 2, max(max(values) - min(values), SMALLEST_AP_RANGE) * 0.75
    low = max(0.0, middle - half)
    axes.set_ylim(low, low + 2 * half)
    axes.set_ylabel("AP (OKS 0.50:0.95)")


def _label_points(
    run: Run, figure: Figure, axes: Axes, points: list[tuple[CellResult, float, float]]
) -> None:
    """Write the points' names where they cover nothing, with a line to a point that is not near."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    names = [certification.marked(run, cell, _point_name(cell.axes)) for cell, _, _ in points]
    texts = [axes.text(0, 0, name, fontsize=8) for name in names]
    extents = [text.get_window_extent(renderer) for text in texts]
    pixels = [tuple(axes.transData.transform((x, y))) for _, x, y in points]
    frame = axes.get_window_extent(renderer)
    boxes = label_places.place(
        pixels,
        [(extent.width + 4, extent.height + 2) for extent in extents],
        label_places.Box(frame.x0, frame.y0, frame.width, frame.height),
        marker=figure.dpi * 0.13,
    )
    for text, box, pixel, (cell, x, y) in zip(texts, boxes, pixels, points, strict=True):
        x0, y0 = axes.transData.inverted().transform((box.x + 2, box.y + 1))
        text.set_position((float(x0), float(y0)))
        text.set_in_layout(False)
        text.set_verticalalignment("bottom")
        _draw_leader(axes, (x, y), pixel, box, cell.axes.twin)


def _draw_leader(
    axes: Axes, point: tuple[float, float], pixel: tuple[float, float], box: label_places.Box, twin: str
) -> None:
    near = label_places.nearest(pixel, box)
    if not label_places.leader(pixel, box):
        return
    end = axes.transData.inverted().transform(near)
    axes.plot([point[0], end[0]], [point[1], end[1]], color=style.light(twin), linewidth=0.6, zorder=1)


def _point_name(axes: Cell) -> str:
    return name(axes) + ("" if axes.precision == "fp32" else f" {axes.precision}")


def bench_plots(run: Run) -> list[Plot]:
    """Return every figure of the bench that the run has cells for."""
    found = (ap_against_latency(run), by_runtime(run, "latency"), by_runtime(run, "throughput"))
    return [plot for plot in found if plot]
