"""The overview of the bench: a row for each network and runtime, a column for each scenario."""

from __future__ import annotations

from itertools import groupby

from bench.cells.runtimes import read_back
from bench.cells.scenarios import LATENCY, SCENARIOS, TIMED
from bench.run.results import CellResult
from reports.formats import Absent, Noted, Value, mebibytes, milliseconds, per_second, quiet, runtime, score
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import certification
from reports.words.cells import RATES, VERDICTS, ap, comparable, lane, latency, most, order, rate


def overview(run: Run) -> Table | None:
    """Return a row for each network and runtime, a column for each scenario and batch; None without cells.

    Rows stand in lanes of one device, numerics, thread count and allocator: what may be compared.
    """
    if not run.cells:
        return None
    first = [c for c in run.cells if not c.axes.replica]
    timed = [c for c in first if c.axes.scenario in TIMED] or first
    places = {(c.axes.scenario, c.axes.batch) for c in timed if c.axes.scenario in TIMED}
    columns = sorted(places, key=lambda place: (list(SCENARIOS).index(place[0]), place[1]))
    rows = [
        Row(_overview_row(run, group, columns), lane(group[0].axes), muted=not any(map(comparable, group)))
        for group in _grouped(timed)
    ]
    return Table(
        name="runtime_overview",
        title="Runtime comparison",
        columns=(
            Column("twin", "Twin", runtime),
            Column("runtime", "Runtime", runtime),
            Column("mode", "Mode"),
            *csv_only("precision_asked"),
            Column("precision_read_back", "Read back"),
            *csv_only("device", "threads", "allocator"),
            *(column for scenario, batch in columns for column in _figure_columns(scenario, batch)),
            Column("AP", "AP", score, "number"),
            Column("peak_memory_bytes", "Peak MiB", mebibytes, "number"),
            Column("parity", "Parity", kind="status"),
            Column("validity", "Validity", kind="status"),
        ),
        rows=tuple(rows),
        note="Compare rows under one heading only: they share device, numerics, threads and allocator. Two "
        "figures side by side are no comparison: those are in the table of comparisons. A word in "
        f"place of a figure is what became of that cell. {run.scored_on}{certification.note(run)}",
        command=command(run, "bench"),
        source="bench/cells/*.json",
        grouped_by="Lane",
    )


def _figure_columns(scenario: str, batch: int) -> tuple[Column, ...]:
    if scenario in RATES:
        unit = RATES[scenario]
        return (
            Column(f"{unit}_per_s_b{batch}", f"{unit.capitalize()}/s, batch {batch}", per_second, "number"),
        )
    what = "" if scenario == LATENCY.name else f"{scenario.capitalize()} "
    return tuple(
        Column(f"{scenario}_{p}_ms_b{batch}", f"{what}{p} ms, batch {batch}", milliseconds, "number")
        for p in ("p50", "p90")
    )


def _grouped(cells: list[CellResult]) -> list[list[CellResult]]:
    """Return the cells in groups that share all axes but scenario and batch."""
    in_order = sorted(cells, key=lambda c: (order(c.axes), c.id))
    return [list(group) for _, group in groupby(in_order, lambda c: order(c.axes))]


def _overview_row(run: Run, group: list[CellResult], columns: list[tuple[str, int]]) -> tuple[Value, ...]:
    axes = group[0].axes
    by_place = {(c.axes.scenario, c.axes.batch): c for c in group}
    measured = [c for c in group if c.status == "ok"]
    none = Absent("no cell of this row was measured", quiet=True)
    said = list(dict.fromkeys(filter(None, (read_back(c.effective) for c in measured))))
    held = [size for c in measured if (size := most(c, "peak_memory_bytes"))]
    return (
        *(axes.twin, axes.runtime, axes.mode, axes.precision),
        ", ".join(said) or none,
        *(axes.device, axes.threads, axes.allocator),
        *(value for place in columns for value in _figures(place[0], by_place.get(place))),
        ap(group[0], run.cells),
        max(held) if held else none,
        certification.standing(run, group),
        _worst(measured) if measured else none,
    )


def _figures(scenario: str, result: CellResult | None) -> tuple[Value, ...]:
    if result is None:
        outside = Absent("not in the matrix", quiet=True)
        return (outside,) if scenario in RATES else (outside, outside)
    if scenario in RATES:
        return (rate(result),)
    p50, p90 = latency(result, "p50"), latency(result, "p90")
    # One word and one footnote say that a cell failed.
    return p50, quiet(p90) if isinstance(p50, Absent) else p90


def _worst(measured: list[CellResult]) -> Value:
    worst = max(measured, key=lambda c: VERDICTS.index(c.validity.verdict))
    reasons = [f"{c.axes.scenario}: {'; '.join(c.validity.reasons)}" for c in measured if c.validity.reasons]
    return Noted(worst.validity.verdict, ". ".join(reasons)) if reasons else worst.validity.verdict
