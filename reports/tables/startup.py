"""The table of what a runtime takes before it answers, by phase; the artifact's size and memory beside."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from bench.cells.scenarios import LATENCY
from bench.run import artifacts
from bench.run.results import CellResult
from reports.formats import Absent, Value, mebibytes, number, or_absent
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import cells as cells_

PHASES = {"import": "Import s", "load": "Load s", "compile": "Compile s", "first": "First query s"}


def table(run: Run) -> Table | None:
    """Return a row for each latency cell that was measured; None without any."""
    timed = [c for c in run.cells if c.axes.scenario == LATENCY.name and c.rounds and not c.axes.replica]
    if not timed:
        return None
    found = sorted(timed, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes), c.id))
    return Table(
        name="startup",
        title="Start-up, size and memory",
        columns=(
            Column("name", "Cell"),
            *(Column(f"{phase}_s", title, number, "number") for phase, title in PHASES.items()),
            Column("artifact_bytes", "Artifact MiB", mebibytes, "number"),
            Column("peak_rss_bytes", "Peak RSS MiB", mebibytes, "number"),
            *csv_only("id"),
        ),
        rows=tuple(Row(_values(run, cell), cells_.heading(cell.axes.lane)) for cell in found),
        note="Medians over rounds, each a fresh process, of seconds that a user waits once; none is in a "
        "latency. A dash at compile: the runtime does not tell it from loading. Memory is the most of all "
        "rounds.",
        command=command(run, "bench"),
        source="bench/cells/*-latency.json and the artifacts",
        grouped_by="Lane",
    )


def _values(run: Run, cell: CellResult) -> tuple[Value, ...]:
    none = "not told apart from the other phases"
    phases = [or_absent(median(seen) if (seen := _seconds(cell, phase)) else None, none) for phase in PHASES]
    rss = cells_.most(cell, "peak_rss_bytes")
    return (
        cells_.name(cell.axes),
        *(Absent(one.reason, quiet=True) if isinstance(one, Absent) else one for one in phases),
        _bytes(artifacts.artifact(run.path, cell.axes)),
        Absent("not recorded", quiet=True) if rss is None else rss,
        cell.id,
    )


def _seconds(cell: CellResult, phase: str) -> list[float]:
    return [s for one in cell.rounds if (s := one.phases_s.get(phase)) is not None]


def _bytes(path: Path | None) -> Value:
    """Return the size of an artifact, an IR's weights included."""
    files = [path, path.with_suffix(".bin")] if path and path.suffix == ".xml" else [path]
    there = [file.stat().st_size for file in files if file and file.is_file()]
    return sum(there) if there else Absent("the run folder has no such file", quiet=True)
