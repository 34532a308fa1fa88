"""Verbs that measure, and the one that says what would spoil a measurement."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench import mlperf, rundir, sitting, stages
from bench.cli.options import AsJson, Device, MeasuredBy, Moved, Profile, RunDir, Uncertified
from bench.verbs import measuring
from pose.errors import UserError


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
        Profile | None,
        typer.Option(help="How long and how often, until another is given; 'matrix': its own."),
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", min=0.1, help="Seconds a round may take.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Forget the selected cells' rounds and measure them anew.")
    ] = False,
    protocol: Annotated[
        MeasuredBy, typer.Option(help="This suite's, or the scenarios of MLPerf LoadGen (extra 'mlperf').")
    ] = MeasuredBy.twinpose,
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
) -> None:
    """Measure the cells of a matrix in interleaved rounds of fresh processes; finished rounds are kept."""
    if parquet is not None:
        measuring.export(run, parquet, as_json)
        return
    if mlperf_ and protocol is not MeasuredBy.mlperf:
        raise UserError("--mlperf is for LoadGen; give --protocol mlperf with it")
    options = mlperf.parse(mlperf_ or [])
    with rundir.locked(run):
        made = rundir.opened(run, coco)
        cells = stages.load_matrix(
            made, matrix, device.value if device else None, profile.value if profile else None
        )
        if protocol is MeasuredBy.mlperf and not list_:
            raise typer.Exit(
                measuring.bench_mlperf(made, cells, only, options, timeout_s, uncertified, as_json)
            )
        command = shlex.join(["twinpose", *sys.argv[1:]])
        wanted = sitting.Wanted(only, timeout_s, uncertified, again, command)
        raise typer.Exit(measuring.bench(made, cells, wanted, list_, as_json))


def doctor(
    probe_s: Annotated[
        float, typer.Option("--probe-s", min=0, help="Seconds of the probe of noise; 0 leaves it out.")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Say what is installed, what hardware is there, and what would spoil a measurement."""
    raise typer.Exit(measuring.doctor(as_json, probe_s))
