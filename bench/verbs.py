"""What the verbs do: a stage or a fact, then a line for people or JSON for scripts."""

from __future__ import annotations

import importlib
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import (
    bench_text,
    certificate,
    compare_text,
    console,
    info,
    launch,
    machine,
    matrix,
    mlperf,
    parity,
    proving,
    rundir,
    selection,
    sides,
    sitting,
    stages,
    store,
    verdicts,
)
from bench import compare as compare_
from bench import doctor as doctor_
from bench import export as export_
from bench import reproduce as reproduce_
from bench.contract import TWINS
from bench.rundir import RunFolder, Settings
from bench.store import CellResult
from pose import check, evaluate, sample, splits, synthetic
from pose import recipe as recipes
from pose.errors import Unsupported, UserError
from pose.files import replacing
from pose.recipe import Recipe

CHECK_FAILED = 1
SOME_CELLS_FAILED = 3


def prepare(
    name: str,
    out: Path,
    coco: Path | None,
    boxes: Path | None,
    device: str | None,
    threads: int | None,
    workers: int | None,
    overrides: list[str] | None,
) -> RunFolder:
    """Return the run folder of a recipe, its dataset rendered first when no COCO folder is given.

    Settings that are not given are those of the run that is there, else the defaults.
    """
    recipe = recipes.load(name, overrides)
    before = None
    if (out / "run.json").exists():
        existing = rundir.opened(out)
        rundir.require_recipe(existing, recipe)
        before = existing.settings
    if coco is None:
        stages.make_data(recipe, out / "data")
        coco = out / "data"
    if boxes is not None and not boxes.is_file():
        raise UserError(f"no file {boxes}; expected detections in COCO results format")
    settings = Settings(
        coco,
        boxes or (before.boxes if before else None),
        device or (before.device if before else "cpu"),
        threads or (before.threads if before else machine.usable_cores()),
        workers if workers is not None else before.workers if before else 2,
    )
    return rundir.prepare(out, recipe, settings)


def run(made: RunFolder, uncertified: bool, as_json: bool) -> int:
    """Do every stage that is not done yet, then the report; return the exit code."""
    for stage in stages.sequence(made, uncertified=uncertified):
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


def failed_cells(results: list[CellResult]) -> list[CellResult]:
    """Return the cells that went wrong; one that this machine cannot run is no failure."""
    return [result for result in results if result.status not in {"ok", "unsupported"}]


def train(made: RunFolder, twin: str | None, as_json: bool) -> None:
    """Train one twin or both."""
    summaries = {}
    for name in [twin] if twin else TWINS:
        with made.stage(f"train {name}", f"twinpose train {made.path} --twin {name}"):
            summaries[name] = stages.train(made, name)
    lines = [
        f"{n}: best AP {s['best_ap']:.3f} at epoch {s['best_epoch']} of {s['epochs']}"
        for n, s in summaries.items()
    ]
    console.facts(summaries, as_json, "\n".join(lines))


def evaluate_run(made: RunFolder, as_json: bool) -> None:
    """Score the test part on each twin's best checkpoint."""
    with made.stage("test", f"twinpose eval {made.path}"):
        record = stages.evaluate(made)
    rows = [f"{twin}: {_numbers(row)}" for twin, row in record.get("twins", {}).items()]
    console.facts(record, as_json, "\n".join(rows) or record["reason"])


def evaluate_predictions(
    predictions: Path | None,
    run: Path | None,
    coco: Path | None,
    part: str,
    recipe: str | None,
    as_json: bool,
) -> None:
    """Score a predictions file against a split's ground truth."""
    if predictions is None or (coco is None and run is None):
        raise UserError("eval needs a RUN, or --predictions with --coco; nothing was scored")
    if run is not None:
        truth = stages.stored_truth(rundir.opened(run), part)
    else:
        root = Path(coco or "")
        manifest = splits.make(recipes.load(recipe).split if recipe else recipes.Split(), root)
        truth = splits.ground_truth(manifest, root, part)
    numbers = evaluate.score(evaluate.read_predictions(predictions, truth), truth)
    console.facts(numbers, as_json, _numbers(numbers))


def _numbers(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {row[name]:.3f}" for name in evaluate.NUMBERS)


@dataclass(frozen=True)
class PredictRequest:
    """What `predict` was asked for."""

    runtime: str
    weights: Path
    coco: Path
    part: str
    boxes: Path | None
    out: Path
    heatmaps: Path | None
    twin: str
    device: str
    threads: int | None


_ARTIFACTS = {"onnxruntime": ("onnx", "model.onnx"), "openvino": ("ir", "model.xml")}


def predict(recipe: Recipe, request: PredictRequest, as_json: bool) -> None:
    """Predict a part of a split; safetensors are converted first where the runtime needs it."""
    if not request.weights.is_file():
        raise UserError(f"no file {request.weights}; expected weights (.safetensors, .onnx or .xml)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        splits.save(splits.make(recipe.split, request.coco), folder / "split.json")
        payload: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json"),
            "coco": str(request.coco.resolve()),
            "split": str(folder / "split.json"),
        }
        artifact = request.weights
        if request.runtime in _ARTIFACTS and artifact.suffix == ".safetensors":
            kind, file = _ARTIFACTS[request.runtime]
            formats = {"twin": request.twin, "weights": str(artifact.resolve()), "formats": [kind]}
            made = payload | formats | {"out": str(folder / "artifact")}
            record = stages.call_with_bar("bench.convert:convert", made, folder / "convert", "convert")
            if record["routes"][0]["status"] != "ok":
                raise launch.ChildFailed(
                    f"conversion for {request.runtime} {stages.route_text(record['routes'][0])}"
                )
            artifact = folder / "artifact" / file
        payload |= {
            "boxes": str(request.boxes.resolve()) if request.boxes else None,
            "part": request.part,
            "runtime": request.runtime,
            "artifact": str(artifact.resolve()),
            "device": request.device,
            "threads": request.threads or machine.usable_cores(),
            "out": str(request.out.resolve()),
            "heatmaps": str(request.heatmaps.resolve()) if request.heatmaps else None,
        }
        value = stages.call_with_bar(
            "bench.predict:predict", payload, folder / "predict", f"predict {request.runtime}"
        )
    boxes = f"boxes of {request.boxes.name}" if request.boxes else "ground-truth boxes"
    text = f"{value['predictions']} people of {value['images']} images ({boxes}) -> {request.out}\n"
    console.facts(value | {"out": str(request.out)}, as_json, text + _numbers(value["numbers"]))


def convert(made: RunFolder, twin: str | None, int8: bool, as_json: bool) -> int:
    """Convert one twin or both; 1 when a route failed."""
    records = {}
    for name in [twin] if twin else TWINS:
        with made.stage(f"convert {name}", f"twinpose convert {made.path} --twin {name}"):
            records[name] = stages.convert(made, name, int8=int8)
    lines = [
        f"{name} {route['route']} -> {route['file']}  {stages.route_text(route)}"
        for name, record in records.items()
        for route in record["routes"]
    ]
    console.facts(records, as_json, "\n".join(lines))
    return int(any(route["status"] == "failed" for record in records.values() for route in record["routes"]))


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
            interpreters=cells.interpreters,
        )
    console.facts(rows, as_json, mlperf.text(rows))
    return SOME_CELLS_FAILED if any(row["status"] not in {"ok", "unsupported"} for row in rows) else 0


def parity_of_run(made: RunFolder, rungs: tuple[int, ...], matrix_name: str | None, as_json: bool) -> int:
    """Climb the parity ladder for a run's trained twins and renew its report; 1 when a rung failed."""
    with made.stage("parity", f"twinpose parity {made.path}"):
        found = stages.prove(made, rungs, matrix_name)
    build_report(made.path)
    return _say_parity(found, made.path, as_json)


def parity_of_recipe(
    recipe: Recipe,
    out: Path,
    rungs: tuple[int, ...],
    coco: Path | None,
    given: Path | None,
    threads: int | None,
    as_json: bool,
) -> int:
    """Climb the parity ladder for a recipe's network, with given or generic weights; 1 when a rung failed."""
    flags = [f" --weights {shlex.quote(str(given))}" if given else "", f" --coco {coco}" if coco else ""]
    numbers = f" --rungs {','.join(map(str, rungs))}" if rungs != parity.ALL else ""
    found = proving.recipe(
        recipe,
        out,
        proving.Wanted(rungs, f"twinpose parity --recipe {recipe.name}{''.join(flags)}{numbers}"),
        coco=coco,
        given=given,
        threads=threads or machine.usable_cores(),
        make_data=stages.make_data,
    )
    return _say_parity(found, out, as_json)


def _say_parity(found: dict[str, Any], folder: Path, as_json: bool) -> int:
    counts = [r["status"] for r in found["rungs"]]
    text = f"{found['status']}: {counts.count('pass')} rungs passed, {counts.count('fail')} failed"
    console.facts(found, as_json, f"{text} -> {folder / 'parity.md'}")
    return CHECK_FAILED if found["status"] == "fail" else 0


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


def compare(a: Path, b: Path, fail_over: str, only: str | None, across_machines: bool, as_json: bool) -> int:
    """Print what differs between two runs or two benchmark files; return the exit code."""
    share = compare_.parse_share(fail_over)
    found = compare_.compare(sides.read(a), sides.read(b), only=only, fail_over=share)
    console.facts(found.to_dict(across_machines), as_json, compare_text.text(found, across_machines))
    return found.exit_code(across_machines)


def export(run: Path, path: Path, as_json: bool) -> None:
    """Write a run's cells as Parquet."""
    rows = export_.to_parquet(run, path)
    console.facts({"rows": rows, "out": str(path)}, as_json, f"{rows} rows -> {path}")


def reproduce(table: str | None, run: Path | None, as_json: bool) -> int:
    """Print a table's command, its cost and, where it has run, the difference; 1 when out of bounds."""
    if table is None:
        known = reproduce_.tables()
        console.facts([t.name for t in known], as_json, "\n".join(f"{t.name:28s} {t.title}" for t in known))
        return 0
    found = reproduce_.compare(reproduce_.find(table), run)
    console.facts(found.to_dict(), as_json, found.text())
    return 0 if found.agrees is not False else 1


def doctor(as_json: bool, probe_s: float = doctor_.PROBE_S) -> int:
    """Print what the machine has and what would spoil a measurement."""
    found = doctor_.examine(probe_s)
    console.facts(found.to_dict(), as_json, found.text())
    return 0


def data_make(
    out: Path,
    recipe: str | None,
    given: tuple[int | None, int | None, int | None],
    contact_sheet: Path | None,
    as_json: bool,
) -> None:
    """Render the built-in dataset, of a recipe or of the given size, and perhaps a contact sheet."""
    base = recipes.load(recipe or "demo").data.synthetic
    if base is None:
        raise UserError(f"recipe '{recipe}' has no built-in dataset; expected for example --recipe demo")
    names = ("train_images", "val_images", "seed")
    chosen = base.model_copy(update={n: v for n, v in zip(names, given, strict=True) if v is not None})
    with console.bar("render") as move:
        made = synthetic.make(
            out,
            train_images=chosen.train_images,
            val_images=chosen.val_images,
            seed=chosen.seed,
            on_progress=move,
        )
    if contact_sheet:
        synthetic.contact_sheet(out, contact_sheet)
    console.facts(made, as_json, "  ".join(f"{key} {value}" for key, value in made.items()))


def data_check(coco: Path, as_json: bool) -> int:
    """Check a COCO folder; 1 when there is a problem."""
    with console.bar("check") as move:
        found = check.check(coco, on_progress=move)
    console.facts(found.to_dict(), as_json, found.text())
    return 1 if found.problems else 0


def data_split(recipe: Recipe, coco: Path, out: Path, as_json: bool) -> None:
    """Write a split manifest."""
    manifest = splits.make(recipe.split, coco)
    splits.save(manifest, out)
    counts = {
        name: {"images": len(part.image_ids), "people": len(part.annotation_ids)}
        for name, part in manifest.parts.items()
        if part
    }
    lines = [f"{name}: {c['images']} images, {c['people']} people" for name, c in counts.items()]
    facts = {"sha256": manifest.sha256, "out": str(out), "parts": counts}
    console.facts(facts, as_json, "\n".join([*lines, f"SHA-256 {manifest.sha256} -> {out}"]))


def data_sample(
    recipe: Recipe,
    coco: Path,
    part: str,
    ann: int,
    epoch: int | None,
    seed: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Write one sample as both twins are fed it."""
    dataset = splits.select(splits.make(recipe.split, coco), coco, part)
    found = np.flatnonzero(dataset.ann_ids == ann)
    if not len(found):
        raise UserError(
            f"annotation {ann} is no usable person of '{part}' in {coco}; expected one of its "
            f"{len(dataset)} ids, such as {dataset.ann_ids[0]}"
        )
    made = sample.make(dataset, int(found[0]), recipe, epoch=epoch, seed=seed)
    with replacing(out) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, image=made.image, heatmaps=made.heatmaps, weights=made.weights, affine=made.affine)
    facts = {"annotation": ann, "labelled": int((made.weights > 0).sum()), "epoch": epoch, "out": str(out)}
    console.facts(facts, as_json, f"annotation {ann}: {facts['labelled']} joints with weight -> {out}")


def model_info(recipe: Recipe, as_json: bool) -> int:
    """Print what the network is; 1 when a twin's own count differs from the description."""
    found = info.model_info(recipe)
    width, height = found["input_size"]
    lines = [
        f"{recipe.model.backbone} at {width}x{height} -> heatmaps {'x'.join(map(str, found['heatmap_size']))}"
    ]
    lines += [
        f"{s['name']:14s} {s['parameters']:>12,} parameters {s['macs']:>15,} MACs" for s in found["stages"]
    ]
    lines.append(f"{'sum':14s} {found['trainable_parameters']:>12,} parameters {found['macs']:>15,} MACs")
    agrees = True
    for twin, own in found["twins"].items():
        if "unsupported" in own:
            lines.append(f"{twin:14s} {own['unsupported']}")
            continue
        lines.append(
            f"{twin + ' counts':14s} {own['trainable_parameters']:>12,} parameters {own['macs']:>15,} MACs"
        )
        agrees &= (own["trainable_parameters"], own["macs"]) == (found["trainable_parameters"], found["macs"])
    console.facts(found, as_json, "\n".join(lines))
    return 0 if agrees else 1
