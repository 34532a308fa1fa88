"""Verbs that measure, and the one that says what would spoil a measurement."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from bench import console, mlperf
from bench.cells import filter as filter_
from bench.cells.matrix import Matrix
from bench.doctor import doctor as doctor_
from bench.parity import certificate
from bench.rounds import text
from bench.rounds.session import BenchRequest
from bench.run import folder
from bench.run.folder import RunFolder
from bench.stages import measurement
from bench.verdicts.disturbed_rounds import disturbed_rounds
from pose.errors import UserError
from pose.files import require_writable
from reports import parquet as parquet_
from reports.page import answers
from reports.run.read import read
from twinpose.exits import SOME_CELLS_FAILED, went_wrong
from twinpose.options import AsJson, Device, Moved, ProfileName, RunDir, Uncertified, files_of_run


def bench(
    run: RunDir,
    matrix: Annotated[
        str | None, typer.Option(help="A shipped matrix or a YAML; default the recipe's.")
    ] = None,
    only: Annotated[str | None, typer.Option("-k", help="Which cells, such as 'torch and cpu'.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the cells and stop.")] = False,
    device: Annotated[
        Device | None, typer.Option(help="Where CPU cells go instead; default the run's.")
    ] = None,
    profile: Annotated[
        ProfileName | None,
        typer.Option(help="How long and how often, until another is given; 'matrix': its own."),
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", min=0.1, help="Seconds a round may take.")
    ] = None,
    tries: Annotated[
        int | None,
        typer.Option(min=1, help="Times a disturbed round is measured, at most; default the protocol's."),
    ] = None,
    more: Annotated[
        bool, typer.Option("--more", help="Measure on where pairs are open, beyond the profile's last round.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Forget the selected cells' rounds and measure them anew.")
    ] = False,
    protocol: Annotated[
        Literal["twinpose", "mlperf"],
        typer.Option(help="This suite's, or the scenarios of MLPerf LoadGen (extra 'mlperf')."),
    ] = "twinpose",
    mlperf_: Annotated[
        list[str] | None,
        typer.Option("--mlperf", metavar="KEY=VALUE", help="What LoadGen is given, as min_duration_s=60."),
    ] = None,
    uncertified: Uncertified = False,
    coco: Moved = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is measured as Parquet and stop.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Measure the cells of a matrix in interleaved rounds of fresh processes; finished rounds are kept."""
    if parquet is not None:
        return _export(run, parquet, as_json)
    if mlperf_ and protocol != "mlperf":
        raise UserError("--mlperf is for LoadGen; give --protocol mlperf with it")
    options = mlperf.parse(mlperf_ or [])
    asked = (matrix, device, profile, tries)
    if list_:
        return _list(measurement.load_matrix(folder.opened(run), *asked), only, as_json)
    with folder.locked(run):
        made = folder.opened(run, coco)
        cells = measurement.load_matrix(made, *asked)
        command = shlex.join(["twinpose", *sys.argv[1:]])
        request = BenchRequest(only, timeout_s, uncertified, again, more, command)
        if protocol == "mlperf":
            return _by_loadgen(made, cells, request, options, as_json)
        return _measure(made, cells, request, as_json)


def _export(run: Path, path: Path, as_json: bool) -> int:
    require_writable(path, but_not=files_of_run(run))
    rows = parquet_.to_parquet(run, path)
    console.facts({"rows": rows, "out": str(path)}, as_json, f"{rows} rows -> {path}")
    return 0


def _list(cells: Matrix, only: str | None, as_json: bool) -> int:
    ids = [cell.id for cell in filter_.select(cells.cells, only)]
    console.facts(ids, as_json, "\n".join(ids))
    return 0


def _measure(made: RunFolder, cells: Matrix, request: BenchRequest, as_json: bool) -> int:
    """Measure the requested cells and print what it found; return the exit code."""
    with made.stage("bench", request.command):
        found = measurement.bench(made, cells, request)
    facts = {
        "cells": [
            {"id": r.id, "status": r.status, "reason": r.reason, "stats": r.stats} for r in found.cells
        ],
        "comparisons": msgspec.to_builtins(found.comparisons),
        "accuracies": msgspec.to_builtins(found.accuracies),
        "noise": msgspec.to_builtins(found.noise),
        "open": msgspec.to_builtins(found.outlook.pairs),
        "invalid": msgspec.to_builtins(found.outlook.invalid),
        "rounds": msgspec.to_builtins(disturbed_rounds(found.cells)),
        "null": msgspec.to_builtins(found.null),
    }
    said = "" if as_json else f"{text.summary(found, made.path)}\n\n{answers.to_text(read(made.path))}"
    console.facts(facts, as_json, said)
    return SOME_CELLS_FAILED if any(went_wrong(one.status) for one in found.cells) else 0


def _by_loadgen(
    made: RunFolder, cells: Matrix, request: BenchRequest, options: mlperf.Options, as_json: bool
) -> int:
    """Drive the cells by MLPerf LoadGen and print what it found; return the exit code."""
    with made.stage("bench mlperf", f"twinpose bench {made.quoted} --protocol mlperf"):
        rows = mlperf.run(
            made.path,
            filter_.select(cells.cells, request.only),
            options,
            timeout_s=request.seconds(cells),
            uncertified=request.uncertified,
            on_event=_say_event,
            places=cells.places,
        )
    console.facts(rows, as_json, mlperf.text(rows, certificate.read(made.path)))
    return SOME_CELLS_FAILED if any(went_wrong(row["status"]) for row in rows) else 0


def _say_event(event: str, fields: dict[str, Any]) -> None:
    if event == "cell_finished":
        mark = "kept" if fields["skipped"] else fields["status"]
        console.say(f"[{fields['number']}/{fields['count']}] {fields['id']}  {mark}")


def doctor(
    probe_s: Annotated[
        float, typer.Option("--probe-s", min=0, help="Seconds of the probe of noise; 0 leaves it out.")
    ] = doctor_.PROBE_S,
    as_json: AsJson = False,
) -> None:
    """Say what is installed, what hardware is there, and what would spoil a measurement."""
    found = doctor_.examine(probe_s)
    console.facts(found.to_dict(), as_json, found.text())
