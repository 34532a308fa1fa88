"""What measures cells, what stores them elsewhere, and what the machine is fit for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench import bench_text, console, matrix, mlperf, selection, sitting, stages, verdicts
from bench import doctor as doctor_
from bench import export as export_
from bench.rundir import RunFolder
from bench.verbs.exits import SOME_CELLS_FAILED, failed_cells
from pose.files import require_target


def bench(made: RunFolder, cells: matrix.Matrix, wanted: sitting.Wanted, list_: bool, as_json: bool) -> int:
    """List or measure the cells of a matrix; return the exit code."""
    if list_:
        ids = [cell.id for cell in selection.select(cells.cells, wanted.only)]
        console.facts(ids, as_json, "\n".join(ids))
        return 0
    with made.stage("bench", wanted.command):
        sat = stages.bench(made, cells, wanted)
    facts = {
        "cells": [{"id": r.id, "status": r.status, "reason": r.reason, "stats": r.stats} for r in sat.cells],
        "comparisons": verdicts.to_json(sat.comparisons),
        "accuracies": [msgspec.to_builtins(one) for one in sat.accuracies],
        "noise": sat.noise,
        "null": sat.null,
    }
    console.facts(facts, as_json, bench_text.summary(sat, made.path))
    return SOME_CELLS_FAILED if failed_cells(sat.cells) else 0


def bench_mlperf(
    made: RunFolder,
    cells: matrix.Matrix,
    only: str | None,
    options: mlperf.Options,
    timeout_s: float | None,
    uncertified: bool,
    as_json: bool,
) -> int:
    """Drive the cells of a matrix by MLPerf LoadGen, print what it found; return the exit code."""

    def on_event(event: str, fields: dict[str, Any]) -> None:
        if event == "cell_finished":
            mark = "kept" if fields["skipped"] else fields["status"]
            console.say(f"[{fields['number']}/{fields['count']}] {fields['id']}  {mark}")

    with made.stage("bench mlperf", f"twinpose bench {made.path} --protocol mlperf"):
        rows = mlperf.run(
            made.path,
            selection.select(cells.cells, only),
            options,
            timeout_s=cells.protocol.timeout_s if timeout_s is None else timeout_s,
            uncertified=uncertified,
            on_event=on_event,
            places=cells.places,
        )
    console.facts(rows, as_json, mlperf.text(rows))
    return SOME_CELLS_FAILED if any(row["status"] not in {"ok", "unsupported"} for row in rows) else 0


def export(run: Path, path: Path, as_json: bool) -> None:
    """Write a run's cells as Parquet."""
    require_target(path, run / "run.json", run / "bench", option="--parquet")
    rows = export_.to_parquet(run, path)
    console.facts({"rows": rows, "out": str(path)}, as_json, f"{rows} rows -> {path}")


def doctor(as_json: bool, probe_s: float = doctor_.PROBE_S) -> int:
    """Print what the machine has and what would spoil a measurement."""
    found = doctor_.examine(probe_s)
    console.facts(found.to_dict(), as_json, found.text())
    return 0
