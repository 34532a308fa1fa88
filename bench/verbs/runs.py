"""What makes a run: its folder, all its stages, the trainings alone, and its report."""

from __future__ import annotations

import importlib
from pathlib import Path

from bench import certificate, console, machine, rundir, stages, store
from bench.contract import TWINS
from bench.rundir import RunFolder, Settings
from bench.verbs.exits import CHECK_FAILED, SOME_CELLS_FAILED, failed_cells
from pose import recipe as recipes
from pose.errors import Unsupported, UserError


def prepare(
    name: str,
    out: Path,
    coco: Path | None,
    boxes: Path | None,
    device: str | None,
    threads: int | None,
    workers: int | None,
    overrides: list[str] | None,
    given: Path | None = None,
) -> RunFolder:
    """Return the run folder of a recipe, its dataset rendered first when no COCO folder is given.

    Settings that are not given are those of the run that is there, else the defaults; `given` is
    `bench.rundir.prepare`'s.
    """
    recipe = recipes.load(name, overrides)
    before = None
    if (out / "run.json").exists():
        existing = rundir.opened(out)
        rundir.require_recipe(existing, recipe)
        before = existing.settings
    if coco is None:
        coco = before.coco if before else out / "data"
        if coco == out / "data":
            stages.make_data(recipe, coco)
    if boxes is not None and not boxes.is_file():
        raise UserError(f"no file {boxes}; expected detections in COCO results format")
    settings = Settings(
        coco,
        boxes or (before.boxes if before else None),
        device or (before.device if before else "cpu"),
        threads or (before.threads if before else machine.usable_cores()),
        workers if workers is not None else before.workers if before else 2,
    )
    return rundir.prepare(out, recipe, settings, given)


def run(made: RunFolder, uncertified: bool, given: Path | None, as_json: bool) -> int:
    """Do every stage that is not done yet, then the report; return the exit code.

    given: canonical weights that take the place of both trainings.
    """
    stages.require_one_source(made, given)
    for stage in stages.sequence(made, uncertified=uncertified, given=given):
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
    path = build_report(made.path)
    failed = failed_cells(store.cells(made.path))
    proven = _proven(made.path)
    facts = {"report": str(path), "parity": proven, "cells_failed": [cell.id for cell in failed]}
    console.facts(facts, as_json, f"report: {path}")
    if proven == "fail":
        return CHECK_FAILED
    return SOME_CELLS_FAILED if failed else 0


def _proven(path: Path) -> str | None:
    found = certificate.of_run(path).found
    return str(found["status"]) if found else None


def train(made: RunFolder, twin: str | None, as_json: bool) -> None:
    """Train one twin or both."""
    for name in TWINS:
        if source := stages.imported(made, name):
            raise UserError(
                f"{made.path} has the imported weights {source['name']} in the place of a trained {name}; "
                "expected a run of its own for a training"
            )
    summaries = {}
    for name in [twin] if twin else TWINS:
        with made.stage(f"train {name}", f"twinpose train {made.path} --twin {name}"):
            summaries[name] = stages.train(made, name)
    lines = [
        f"{n}: best AP {s['best_ap']:.3f} at epoch {s['best_epoch']} of {s['epochs']}"
        for n, s in summaries.items()
    ]
    console.facts(summaries, as_json, "\n".join(lines))


def report(path: Path, as_json: bool) -> None:
    """Write the report of a run."""
    made = rundir.opened(path)
    if any((path / "train").glob("*/summary.json")) and not stages.samples_hold(made):
        try:
            stages.samples(made)
        except UserError as error:
            console.say(f"no sample images: {error}")
    written = build_report(path)
    console.facts({"report": str(written)}, as_json, f"report: {written}")


def build_report(path: Path) -> Path:
    """Return the path of a run's report, made anew."""
    # The reports depend on the bench's store, so the bench names them as a string.
    written: Path = importlib.import_module("reports.build").build(path)
    return written
