"""The table of every cell: its figures over all rounds, or what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.cells.scenarios import SCENARIOS
from reports.formats import Absent, Noted, bare, mebibytes, milliseconds, number, per_second, percent, score
from reports.frames.cell_rows import PERCENTILES, cell_rows
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.conditions import NO_ENERGY
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import certification
from reports.words.cells import RATES, comparable, heading


def every_cell(run: Run) -> Table | None:
    """Return a row for each cell, measured or not, lane by lane; None without any."""
    if not run.cells:
        return None
    by_id = {cell.id: cell for cell in run.cells}
    columns = _columns()
    rows = tuple(
        Row(
            tuple(said[column.key] for column in columns),
            heading(by_id[said["id"]].axes.lane),
            muted=not comparable(by_id[said["id"]]),
        )
        for said in map(_said, cell_rows(run))
    )
    return Table(
        name="runtime_comparison",
        title="Every cell",
        columns=_seen(columns, rows),
        rows=rows,
        note="One row for each cell, failed ones included. Rounds are done of wanted; a stopping rule "
        "may ask for more. p50 is the geometric mean of the rounds' medians; p90 and p99 are of the queries "
        "of all rounds, which weigh alike. A rate is of images, steps (train) or samples (data). The "
        "interval is of p50 or rate, over rounds. AP is that of the same network, "
        f"runtime, mode, precision and device. {NO_ENERGY} {run.scored_on}{certification.note(run)}",
        command=command(run, "bench"),
        source="bench/cells/*.json",
        grouped_by="Lane",
    )


def _columns() -> tuple[Column, ...]:
    return (
        Column("name", "Cell"),
        *csv_only("twin", "runtime", "mode", "replica"),
        *csv_only("precision_asked"),
        Column("precision_read_back", "Read back"),
        *csv_only("device", "threads", "allocator", "scenario", "batch"),
        Column("rounds_said", "Rounds", kind="number"),
        *csv_only("rounds", "rounds_wanted"),
        *(Column(f"latency_{p}_ms", f"{p} ms", milliseconds, "number") for p in PERCENTILES),
        Column("rate_per_s", "Rate, 1/s", per_second, "number"),
        *csv_only(*(f"{unit}_per_s" for unit in RATES.values())),
        Column("interval_said", "95 % interval", kind="number"),
        *csv_only("interval_low", "interval_high"),
        Column("share_of_peak", "Of peak", percent, "number"),
        Column("AP", "AP", score, "number"),
        Column("peak_memory_bytes", "Peak MiB", mebibytes, "number"),
        Column("peak_device_bytes", "Device MiB", mebibytes, "number"),
        Column("cores_used", "Cores", number, "number"),
        Column("energy_mj_per_image", "Energy, mJ an image", number, "number"),
        *csv_only("energy_j"),
        Column("parity", "Parity", kind="status"),
        Column("validity", "Validity", kind="status"),
        Column("status", "Status", kind="status"),
        *csv_only("reason", "id", "accuracy_cell", "certificate", "command"),
    )


def _seen(columns: tuple[Column, ...], rows: tuple[Row, ...]) -> tuple[Column, ...]:
    """Return the columns; one that no row has a value in stays in the CSV alone."""
    return tuple(
        replace(column, only_csv=True)
        if all(isinstance(row.values[place], Absent) for row in rows)
        else column
        for place, column in enumerate(columns)
    )


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the frame, with what people read in place of some figures."""
    low, high, status = row["interval_low"], row["interval_high"], row["status"]
    show = milliseconds if SCENARIOS[row["scenario"]].less_is_faster else per_second
    return row | {
        "precision_asked": row["precision"],
        "rounds_said": f"{row['rounds']}/{row['rounds_wanted']}",
        "interval_said": low if isinstance(low, Absent) else f"[{show(low)}, {show(high)}]",
        "status": status if status == "ok" else Noted(status, bare(row["reason"]) or "no reason recorded"),
    }
