"""Verbs that make a run: all of it, its trainings alone, its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import rundir
from bench.cli.options import (
    AsJson,
    Boxes,
    Coco,
    DeviceName,
    Out,
    RecipeName,
    RunDir,
    Set,
    Threads,
    Twin,
    Uncertified,
    Workers,
)
from bench.verbs import runs
from pose import architecture, channel_order
from pose import recipe as recipes
from pose.errors import UserError
from pose.weights import load as load_weights


def run(
    recipe: RecipeName,
    out: Out,
    coco: Coco = None,
    boxes: Boxes = None,
    device: DeviceName = None,
    threads: Threads = None,
    workers: Workers = None,
    set_: Set = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Canonical weights (.safetensors) for both twins; nothing is trained."),
    ] = None,
    uncertified: Uncertified = False,
    as_json: AsJson = False,
) -> None:
    """From data to report, the parity ladder on the way; continues where it was interrupted."""
    resolved = recipes.load(recipe, set_)
    if weights is not None:
        load_weights(weights, architecture.build(resolved.model))
        channel_order.require(weights, resolved)
    with rundir.locked(out, create=True):
        on = device and device.value
        made = runs.prepare(recipe, out, coco, boxes, on, threads, workers, set_, weights)
        raise typer.Exit(runs.run(made, uncertified, weights, as_json))


def train(
    run: RunDir,
    twin: Annotated[Twin | None, typer.Option("--twin", help="One twin; default both.")] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", help="The recipe of a new run folder.")] = None,
    coco: Coco = None,
    device: DeviceName = None,
    threads: Threads = None,
    workers: Workers = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Train one twin or both; resumes from the last finished epoch."""
    if recipe is None and any(option is not None for option in (coco, device, threads, workers, set_)):
        raise UserError(
            "--coco, --device, --threads, --workers and --set make a run; give --recipe with them"
        )
    if recipe is not None:
        recipes.load(recipe, set_)
    with rundir.locked(run, create=recipe is not None):
        if recipe is not None:
            made = runs.prepare(recipe, run, coco, None, device and device.value, threads, workers, set_)
        else:
            made = rundir.opened(run)
        runs.train(made, twin.value if twin else None, as_json)


def report(run: RunDir, as_json: AsJson = False) -> None:
    """Write HTML, CSV, Markdown and plots from a run alone."""
    with rundir.locked(run):
        runs.report(run, as_json)
