"""The tables of the bench: what may be compared side by side, every cell, and what failed."""

from __future__ import annotations

from itertools import groupby

from bench.store import CellResult
from reports import certified
from reports.formats import (
    RUNTIME_NAMES,
    Absent,
    Noted,
    Value,
    mebibytes,
    milliseconds,
    or_absent,
    per_second,
    score,
)
from reports.parts import command
from reports.readings import (
    SCENARIOS,
    VERDICTS,
    accuracy_of,
    ap,
    comparable,
    images_per_s,
    lane,
    latency,
    order,
    read_back,
    verdict,
)
from reports.run import Run
from reports.table import Column, Row, Table


def comparison(run: Run) -> Table | None:
    """Return a row for each cell, measured or not; None without any."""
    if not run.cells:
        return None
    cells = sorted(run.cells, key=lambda c: (SCENARIOS.index(c.axes.scenario), *order(c.axes)))
    return Table(
        name="runtime_comparison",
        title="Every cell",
        columns=(
            Column("twin", "Twin", _name),
            Column("runtime", "Runtime", _name),
            Column("mode", "Mode"),
            Column("precision_asked", "Asked"),
            Column("precision_read_back", "Read back"),
            Column("device", "Device"),
            Column("threads", "Threads", kind="number"),
            Column("allocator", "Allocator"),
            Column("scenario", "Scenario", only_csv=True),
            Column("batch", "Batch", kind="number"),
            Column("latency_p50_ms", "p50 ms", milliseconds, "number"),
            Column("latency_p90_ms", "p90 ms", milliseconds, "number"),
            Column("images_per_s", "Images/s", per_second, "number"),
            Column("AP", "AP", score, "number"),
            Column("peak_rss_bytes", "Peak RSS MiB", mebibytes, "number"),
            Column("parity", "Parity", kind="status"),
            Column("validity", "Validity", kind="status"),
            Column("status", "Status", kind="status"),
            Column("reason", "Reason", only_csv=True),
            Column("id", "Cell", only_csv=True),
            Column("accuracy_cell", "AP from cell", only_csv=True),
            Column("certificate", "Certificate", only_csv=True),
            Column("command", "Command", only_csv=True),
        ),
        rows=tuple(Row(_cell(run, c), c.axes.scenario.capitalize(), muted=not comparable(c)) for c in cells),
        note="One row for each cell, failed ones included. AP is that of the same network, runtime, mode, "
        f"precision and device. Boxes: {run.boxes}.{certified.note(run)}",
        command=command(run, "bench"),
        source="bench/cells/*.json",
        grouped_by="Scenario",
    )


def _name(value: str) -> str:
    return RUNTIME_NAMES.get(value, value)


def _cell(run: Run, result: CellResult) -> tuple[Value, ...]:
    axes, scored = result.axes, accuracy_of(result, run.cells)
    ok = result.status == "ok"
    no = Absent(f"{result.status}: {result.reason}", quiet=True)
    return (
        *(axes.twin, axes.runtime, axes.mode, axes.precision),
        or_absent(read_back(result), "the runtime reported none") if ok else no,
        *(axes.device, axes.threads, axes.allocator, axes.scenario, axes.batch),
        _quiet(latency(result, "p50")),
        _quiet(latency(result, "p90")),
        _quiet(images_per_s(result)),
        ap(result, run.cells) if ok else no,
        or_absent(result.stats.get("peak_rss_bytes"), "not recorded") if ok else no,
        certified.standing(run, [result]),
        verdict(result) if ok else no,
        result.status if ok else Noted(result.status, result.reason or "no reason recorded"),
        or_absent(result.reason, "the cell is measured"),
        result.id,
        or_absent(scored.id if scored else None, "the matrix has no accuracy cell for it"),
        or_absent(result.certificate_id, "the cell has none"),
        result.command,
    )


def _quiet(value: Value) -> Value:
    return Absent(value.reason, quiet=True) if isinstance(value, Absent) else value


def overview(run: Run) -> Table | None:
    """Return a row for each network and runtime, a column for each scenario and batch; None without cells.

    Rows stand in lanes of one device, precision, thread count and allocator: what may be compared.
    """
    if not run.cells:
        return None
    timed = [c for c in run.cells if c.axes.scenario in {"latency", "throughput"}] or list(run.cells)
    columns = sorted({(c.axes.scenario, c.axes.batch) for c in timed if c.axes.scenario != "accuracy"})
    rows = [
        Row(
            _overview_row(run, group, columns),
            lane(group[0].axes),
            muted=not any(map(comparable, group)),
        )
        for group in _grouped(timed)
    ]
    return Table(
        name="runtime_overview",
        title="Runtime comparison",
        columns=(
            Column("twin", "Twin", _name),
            Column("runtime", "Runtime", _name),
            Column("mode", "Mode"),
            Column("precision_asked", "Precision asked"),
            Column("precision_read_back", "Read back"),
            Column("device", "Device", only_csv=True),
            Column("threads", "Threads", only_csv=True),
            Column("allocator", "Allocator", only_csv=True),
            *(column for scenario, batch in columns for column in _figure_columns(scenario, batch)),
            Column("AP", "AP", score, "number"),
            Column("peak_rss_bytes", "Peak RSS MiB", mebibytes, "number"),
            Column("parity", "Parity", kind="status"),
            Column("validity", "Validity", kind="status"),
        ),
        rows=tuple(rows),
        note="Compare rows under one heading only: they share device, precision, threads and allocator. "
        f"A word in place of a figure is what became of that cell. Boxes: {run.boxes}.{certified.note(run)}",
        command=command(run, "bench"),
        source="bench/cells/*.json",
        grouped_by="Lane",
    )


def _figure_columns(scenario: str, batch: int) -> tuple[Column, ...]:
    if scenario == "throughput":
        return (Column(f"images_per_s_b{batch}", f"Images/s, batch {batch}", per_second, "number"),)
    return tuple(
        Column(f"latency_{p}_ms_b{batch}", f"{p} ms, batch {batch}", milliseconds, "number")
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
    said = list(dict.fromkeys(filter(None, (read_back(c) for c in measured))))
    rss = [c.stats["peak_rss_bytes"] for c in measured if c.stats.get("peak_rss_bytes")]
    return (
        *(axes.twin, axes.runtime, axes.mode, axes.precision),
        ", ".join(said) or none,
        *(axes.device, axes.threads, axes.allocator),
        *(value for place in columns for value in _figures(place[0], by_place.get(place))),
        ap(group[0], run.cells),
        max(rss) if rss else none,
        certified.standing(run, group),
        _worst(measured) if measured else none,
    )


def _figures(scenario: str, result: CellResult | None) -> tuple[Value, ...]:
    if result is None:
        outside = Absent("not in the matrix", quiet=True)
        return (outside,) if scenario == "throughput" else (outside, outside)
    if scenario == "throughput":
        return (images_per_s(result),)
    p50, p90 = latency(result, "p50"), latency(result, "p90")
    # One word and one footnote say that a cell failed.
    return p50, _quiet(p90) if isinstance(p50, Absent) else p90


def _worst(measured: list[CellResult]) -> Value:
    worst = max(measured, key=lambda c: VERDICTS.index(c.validity.verdict))
    reasons = [f"{c.axes.scenario}: {'; '.join(c.validity.reasons)}" for c in measured if c.validity.reasons]
    return Noted(worst.validity.verdict, ". ".join(reasons)) if reasons else worst.validity.verdict
