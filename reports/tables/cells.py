"""The table of every cell: its figures over all rounds, or what became of it."""

from __future__ import annotations

from dataclasses import replace

from bench.cells.cell import LESS_IS_FASTER, TIMED
from bench.run.results import CellResult
from reports.formats import (
    Absent,
    Noted,
    Value,
    mebibytes,
    milliseconds,
    number,
    or_absent,
    per_second,
    percent,
    quiet,
    score,
)
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.conditions import NO_ENERGY
from reports.tables.table import Column, Row, Table
from reports.words import certification
from reports.words.cells import (
    RATES,
    accuracy_of,
    ap,
    comparable,
    cores_used,
    full_lane_key,
    heading,
    interval,
    latency,
    most,
    name,
    null_reason,
    order,
    rate,
    read_back,
    verdict,
)

PERCENTILES = ("p50", "p90", "p99")
NO_AP = frozenset({"train", "data"})
"""Scenarios that predict nothing."""


def every_cell(run: Run) -> Table | None:
    """Return a row for each cell, measured or not, lane by lane; None without any."""
    if not run.cells:
        return None
    cells = sorted(run.cells, key=lambda c: (*full_lane_key(c.axes), *order(c.axes), c.axes.replica))
    columns = _columns()
    rows = tuple(Row(_cell(run, c), heading(c.axes.lane), muted=not comparable(c)) for c in cells)
    return Table(
        name="runtime_comparison",
        title="Every cell",
        columns=_seen(columns, rows),
        rows=rows,
        note="One row for each cell, failed ones included. Rounds are done of wanted; a stopping rule "
        "may ask for more. Percentiles are of the queries of all rounds. A rate is of images, steps (train) "
        "or samples (data). The interval is of p50 or rate, over rounds. AP is that of the same network, "
        f"runtime, mode, precision and device. {NO_ENERGY} {run.scored_on}{certification.note(run)}",
        command=command(run, "bench"),
        source="bench/cells/*.json",
        grouped_by="Lane",
    )


def _columns() -> tuple[Column, ...]:
    return (
        Column("name", "Cell"),
        *(Column(key, key, only_csv=True) for key in ("twin", "runtime", "mode", "replica")),
        Column("precision_asked", "Asked", only_csv=True),
        Column("precision_read_back", "Read back"),
        *(Column(key, key, only_csv=True) for key in ("device", "threads", "allocator", "scenario", "batch")),
        Column("rounds_said", "Rounds", kind="number"),
        *(Column(key, key, only_csv=True) for key in ("rounds", "rounds_wanted")),
        *(Column(f"latency_{p}_ms", f"{p} ms", milliseconds, "number") for p in PERCENTILES),
        Column("rate_per_s", "Rate, 1/s", per_second, "number"),
        *(Column(f"{unit}_per_s", unit, only_csv=True) for unit in RATES.values()),
        Column("interval_said", "95 % interval", kind="number"),
        *(Column(key, key, only_csv=True) for key in ("interval_low", "interval_high")),
        Column("share_of_peak", "Of peak", percent, "number"),
        Column("AP", "AP", score, "number"),
        Column("peak_rss_bytes", "Peak RSS MiB", mebibytes, "number"),
        Column("peak_device_bytes", "Device MiB", mebibytes, "number"),
        Column("cores_used", "Cores", number, "number"),
        Column("energy_mj_per_image", "Energy, mJ an image", number, "number"),
        Column("energy_j", "Energy J", only_csv=True),
        Column("parity", "Parity", kind="status"),
        Column("validity", "Validity", kind="status"),
        Column("status", "Status", kind="status"),
        Column("reason", "Reason", only_csv=True),
        Column("id", "Cell", only_csv=True),
        Column("accuracy_cell", "AP from cell", only_csv=True),
        Column("certificate", "Certificate", only_csv=True),
        Column("command", "Command", only_csv=True),
    )


def _seen(columns: tuple[Column, ...], rows: tuple[Row, ...]) -> tuple[Column, ...]:
    """Return the columns; one that no row has a value in stays in the CSV alone."""
    return tuple(
        replace(column, only_csv=True)
        if all(isinstance(row.values[place], Absent) for row in rows)
        else column
        for place, column in enumerate(columns)
    )


def _cell(run: Run, result: CellResult) -> tuple[Value, ...]:
    axes, scored = result.axes, accuracy_of(result, run.cells)
    ok = result.status == "ok"
    no = Absent(f"{result.status}: {result.reason}", quiet=True)
    timed = axes.scenario in TIMED
    return (
        *(name(axes), axes.twin, axes.runtime, axes.mode, axes.replica, axes.precision),
        or_absent(read_back(result), "the runtime reported none") if ok else no,
        *(axes.device, axes.threads, axes.allocator, axes.scenario, axes.batch),
        *(f"{len(result.rounds)}/{result.rounds_wanted}", len(result.rounds), result.rounds_wanted),
        *(_percentile(result, p) for p in PERCENTILES),
        *(quiet(rate(result, scenario)) for scenario in (None, *RATES)),
        *_interval(result, no),
        _share(result) if ok and timed else no,
        quiet(ap(result, run.cells)) if ok and axes.scenario not in NO_AP else no,
        _recorded(most(result, "peak_rss_bytes"), ok, no, "not recorded"),
        _recorded(most(result, "peak_device_bytes"), ok, no, "no device memory was read"),
        _recorded(cores_used(result), ok, no, "not recorded"),
        *(
            _recorded(result.stats.get(name), ok, no, "no counter was read")
            for name in ("energy_mj_per_image", "energy_j")
        ),
        certification.standing(run, [result]),
        verdict(result) if ok else no,
        result.status if ok else Noted(result.status, result.reason or "no reason recorded"),
        or_absent(result.reason, "the cell is measured"),
        result.id,
        or_absent(scored.id if scored else None, "the matrix has no accuracy cell for it"),
        or_absent(result.certificate_id, "the cell has none"),
        result.command,
    )


def _percentile(result: CellResult, percentile: str) -> Value:
    """Return a percentile; only a null one of a cell that has others is worth a footnote."""
    value = latency(result, percentile)
    told = percentile in (result.stats.get("nulls") or {})
    return value if told and result.status == "ok" else quiet(value)


def _interval(result: CellResult, no: Absent) -> tuple[Value, Value, Value]:
    found = interval(result)
    if result.status != "ok" or isinstance(found, str):
        absent = no if isinstance(found, tuple) or result.status != "ok" else Absent(found, quiet=True)
        return absent, absent, absent
    show = milliseconds if LESS_IS_FASTER.get(result.axes.scenario) else per_second
    return f"[{show(found[0])}, {show(found[1])}]", *found


def _share(result: CellResult) -> Value:
    why = null_reason(result, "share_of_peak", "no peak for it, or not the network alone is timed")
    return quiet(or_absent(result.stats.get("share_of_peak"), why))


def _recorded(value: float | None, ok: bool, no: Absent, why: str) -> Value:
    return (Absent(why, quiet=True) if value is None else value) if ok else no
