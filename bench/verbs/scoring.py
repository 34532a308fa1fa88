"""What predicts and scores: COCO's ten numbers of a run, of a file, or of one runtime."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import console, launch, machine, rundir, stages
from bench.rundir import RunFolder
from pose import channel_order, evaluate, splits
from pose import recipe as recipes
from pose.coco import inputs
from pose.errors import UserError
from pose.files import require_target
from pose.recipe import Recipe


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
    reads = [request.weights, request.weights.with_suffix(".bin"), request.boxes, *inputs(request.coco)]
    require_target(request.out, *reads)
    if request.heatmaps:
        require_target(request.heatmaps, request.out, *reads, option="--heatmaps")
    order = ""
    if request.weights.suffix not in {".onnx", ".xml"}:  # their graphs hold the order
        channel_order.require(request.weights, recipe)
        order = f", channel order {recipe.data.channel_order}"
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
    text = f"{value['predictions']} people of {value['images']} images ({boxes}{order}) -> {request.out}\n"
    console.facts(value | {"out": str(request.out)}, as_json, text + _numbers(value["numbers"]))
