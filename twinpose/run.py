"""Verbs that make a run: all of it, its trainings alone, its report."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import console
from bench.cells.cell import TWINS
from bench.data.built_in import make_data
from bench.machine import fingerprint
from bench.parity import certificate
from bench.run import folder, results, trainings
from bench.run.folder import RunFolder, Settings
from bench.stages import importing, order, pictures, preparing, training
from pose import architecture
from pose import recipe as recipes
from pose.errors import Unsupported, UserError
from pose.recipe import Recipe
from pose.weights import load as load_weights
from reports import build
from reports.page import answers
from reports.run.read import read
from twinpose.exits import CHECK_FAILED, SOME_CELLS_FAILED, went_wrong
from twinpose.options import (
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
    recipe_for,
)


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
        Path | None, typer.Option(help="Canonical weights (.safetensors) for both twins; nothing is trained.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Train each twin N times: from the recipe's seed and those after it; default 1.",
        ),
    ] = None,
    uncertified: Uncertified = False,
    as_json: AsJson = False,
) -> int:
    """From data to report, the parity ladder on the way; continues where it was interrupted."""
    if weights is not None and seeds is not None:
        raise UserError("--weights trains nothing and --seeds trains N times; expected one of them")
    resolved = recipe_for(recipe, set_, weights)
    if weights is not None:
        load_weights(weights, architecture.build(resolved.model))
    with folder.locked(out, create=True):
        made = prepare(out, resolved, coco, boxes, device, threads, workers, weights)
        if seeds is not None:
            preparing.ask_for_seeds(made, seeds)
        do_stages(made, uncertified=uncertified, given=weights)
        path = build.build(out)
    failed = [cell for cell in results.cells(out) if went_wrong(cell.status)]
    proven = certificate.read(out)
    status = proven.status if proven else None
    facts = {"report": str(path), "parity": status, "cells_failed": [cell.id for cell in failed]}
    console.facts(facts, as_json, f"{answers.to_text(read(out))}\n\nreport: {path}")
    if status == "fail":
        return CHECK_FAILED
    return SOME_CELLS_FAILED if failed else 0


def prepare(
    out: Path,
    recipe: Recipe,
    coco: Path | None,
    boxes: Path | None,
    device: str | None,
    threads: int | None,
    workers: int | None,
    given: Path | None = None,
) -> RunFolder:
    """Return the run folder of a recipe, its dataset rendered first when no COCO folder is given.

    Settings that are not given are those of the run that is there, else the defaults; `given` is
    `bench.stages.preparing.prepare`'s.
    """
    if boxes is not None and not boxes.is_file():
        raise UserError(f"no file {boxes}; expected detections in COCO results format")
    base = Settings(out / "data", None, "cpu", fingerprint.usable_cores(), workers=2)
    if (out / "run.json").exists():
        existing = folder.opened(out)
        preparing.require_recipe(existing, recipe)
        base = existing.settings
    if coco is None and base.coco == out / "data":
        make_data(recipe, base.coco)
    settings = Settings(
        coco or base.coco,
        boxes or base.boxes,
        device or base.device,
        threads or base.threads,
        base.workers if workers is None else workers,
    )
    return preparing.prepare(out, recipe, settings, given)


def do_stages(made: RunFolder, *, uncertified: bool, given: Path | None) -> None:
    """Do every stage of a run that is not done yet; one that this machine cannot do is recorded as such.

    given: canonical weights that take the place of both trainings.
    """
    importing.require_one_source(made, given)
    for stage in order.sequence(made, uncertified=uncertified, given=given):
        if stage.holds():
            console.say(f"{stage.name}: done before", level=2)
            continue
        console.say(f"{stage.name}  ({stage.command})")
        try:
            with made.stage(stage.name, stage.command):
                stage.action()
        except Unsupported as reason:
            console.say(f"{stage.name}: unsupported here: {reason}")
            unsupported = {"status": "unsupported", "reason": str(reason), "command": stage.command}
            made.record(stage.name, unsupported)


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
    if recipe is None and any(option is not None for option in (device, threads, workers, set_)):
        raise UserError("--device, --threads, --workers and --set make a run; give --recipe with them")
    resolved = recipes.load(recipe, set_) if recipe is not None else None
    with folder.locked(run, create=recipe is not None):
        if resolved is not None:
            made = prepare(run, resolved, coco, None, device, threads, workers)
        else:
            made = folder.opened(run, coco)
        summaries = train_twins(made, [twin] if twin else list(TWINS))
    lines = [
        f"{n}: best AP {s['best_ap']:.3f} at epoch {s['best_epoch']} of {s['epochs']}"
        for n, s in summaries.items()
    ]
    console.facts(summaries, as_json, "\n".join(lines))


def train_twins(made: RunFolder, twins: list[str]) -> dict[str, Any]:
    """Return the summaries of the twins' trainings; UserError where a run has imported weights instead."""
    trainings.require_none_imported(made)
    summaries = {}
    for name in twins:
        with made.stage(f"train {name}", training.command(made, name)):
            summaries[name] = training.train(made, name)
    return summaries


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="A run folder, or several to report side by side."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default RUN/report. Of several, needed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write HTML, CSV, Markdown, LaTeX and plots from a run alone; of several runs, a page side by side."""
    if len(runs) > 1:
        _report_several(runs, out, as_json)
        return
    run = runs[0]
    made = folder.opened(run)
    if training.best_epochs(made) and out is None and not pictures.samples_hold(made):
        _renew_samples(made)
    written = build.build(run, out)
    console.facts({"report": str(written)}, as_json, f"report: {written}")


def _report_several(runs: list[Path], out: Path | None, as_json: bool) -> None:
    given = " ".join(shlex.quote(str(run)) for run in runs)
    if out is None:
        raise UserError(
            f"{len(runs)} runs were given and no --out; expected a folder for their report; "
            f"type: twinpose report {given} --out DIR"
        )
    written = build.build_several(runs, out, f"twinpose report {given} --out {shlex.quote(str(out))}")
    console.facts({"report": str(written)}, as_json, f"report: {written}")


def _renew_samples(made: RunFolder) -> None:
    """Put the sample images of what is trained now into a run; where that is impossible, say why."""
    try:
        with folder.locked(made.path):
            pictures.samples(made)
    except UserError as error:
        console.say(f"no sample images: {error}")
