"""Verbs that predict and score: COCO's ten numbers of a run, of a file, or of one runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import console
from bench.cells.artifacts import ARTIFACTS
from bench.cells.runtimes import RUNTIMES
from bench.machine import fingerprint
from bench.process import launch
from bench.run import folder as folder_
from bench.run.conversion import Format
from bench.run.folder import RunFolder, Settings
from bench.stages import conversion, evaluation
from pose import evaluate, splits
from pose import recipe as recipes
from pose.errors import UserError
from pose.files import require_writable
from twinpose.options import (
    AsJson,
    Boxes,
    Coco,
    CocoDir,
    DeviceName,
    Out,
    Part,
    RecipeName,
    RuntimeName,
    Set,
    Threads,
    Twin,
    files_of_coco,
    recipe_for,
)


def eval_(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Score this run's test part.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions in COCO results format.")] = None,
    coco: Coco = None,
    split: Annotated[Part | None, typer.Option(help="The part that was predicted; default val.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Whose split; default the official one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score predictions by COCO's ten numbers; with a run alone its test part, on the best checkpoints."""
    if run is not None and recipe is not None:
        raise UserError("a RUN has its recipe; give it without --recipe")
    if run is not None and coco is not None and predictions is not None:
        raise UserError("a RUN has its ground truth; give --predictions with a RUN or with --coco, not both")
    if run is not None and predictions is None:
        if split not in {None, "test"}:
            raise UserError(f"eval RUN scores the test part; give --predictions with --split {split}")
        _score_run(run, coco, as_json)
        return
    if predictions is None or (coco is None and run is None):
        raise UserError("eval needs a RUN, or --predictions with --coco; nothing was scored")
    part = split or "val"
    if run is not None:
        truth = evaluation.stored_truth(folder_.opened(run), part)
    else:
        root = Path(coco or "")
        if recipe:
            manifest = splits.of(recipes.load(recipe), root, part)
        else:
            manifest = splits.make(recipes.Split(), root, only=part)
        truth = splits.ground_truth(manifest, root, part)
    numbers = evaluate.score(evaluate.read_predictions(predictions, truth), truth)
    if reason := evaluate.why_nobody(truth):
        console.say(f"every number is -1: {reason}")
    console.facts(numbers, as_json, _numbers(numbers))


def _score_run(run: Path, coco: Path | None, as_json: bool) -> None:
    """Score the test part on each twin's best checkpoint."""
    with folder_.locked(run):
        made = folder_.opened(run, coco)
        with made.stage("test", f"twinpose eval {made.quoted}"):
            record = evaluation.evaluate(made)
    rows = [f"{twin}: {_numbers(row)}" for twin, row in record.get("twins", {}).items()]
    console.facts(record, as_json, "\n".join(rows) or record["reason"])


def _numbers(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {row[name]:.3f}" for name in evaluate.NUMBERS)


def predict(
    runtime: Annotated[RuntimeName, typer.Option(help="What runs the network.")],
    weights: Annotated[Path, typer.Option(help="safetensors, or an .onnx or .xml for its runtime.")],
    recipe: RecipeName,
    coco: CocoDir,
    out: Out,
    split: Annotated[Part, typer.Option(help="The part to predict.")] = "val",
    boxes: Boxes = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="The flip test; default the recipe's.")
    ] = None,
    heatmaps: Annotated[Path | None, typer.Option(help="Also write the decoded heatmaps (.npz).")] = None,
    twin: Annotated[Twin, typer.Option(help="Whose export is given to a runtime that loads one.")] = "torch",
    device: DeviceName = None,
    threads: Threads = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Run one runtime over a split and save keypoints in COCO results format."""
    overrides = [*(set_ or []), *([] if flip is None else [f"evaluation.flip_test={str(flip).lower()}"])]
    if not weights.is_file():
        raise UserError(f"no file {weights}; expected weights (.safetensors, .onnx or .xml)")
    inputs = [weights, weights.with_suffix(".bin"), recipes.find(recipe), *files_of_coco(coco)]
    _require_outputs(out, heatmaps, [*inputs, boxes] if boxes else inputs)
    # The graph of an export holds the channel order.
    in_graph = weights.suffix in {Path(one.file).suffix for one in ARTIFACTS.values() if one.is_export}
    resolved = recipe_for(recipe, overrides, None if in_graph else weights)
    order = "" if in_graph else f", channel order {resolved.data.channel_order}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(coco, boxes, device or "cpu", threads or fingerprint.usable_cores(), workers=0)
        run = RunFolder(folder, resolved, settings)
        splits.save(splits.of(resolved, coco, split), run.split_file)
        value = evaluation.predict(
            run,
            runtime=runtime,
            artifact=_artifact(run, runtime, twin, weights),
            part=split,
            out=out,
            heatmaps=heatmaps,
            child=folder / "predict",
        )
    used = f"boxes of {boxes.name}" if boxes else "ground-truth boxes"
    text = f"{value['predictions']} people of {value['images']} images ({used}{order}) -> {out}\n"
    console.facts(value | {"out": str(out)}, as_json, text + _numbers(value["numbers"]))


def _require_outputs(out: Path, heatmaps: Path | None, inputs: list[Path]) -> None:
    """Raise UserError unless predictions, and heatmaps if wanted, can be written without harm to inputs."""
    require_writable(out, but_not=inputs)
    if heatmaps:
        require_writable(heatmaps, but_not=[*inputs, out])


def _artifact(run: RunFolder, runtime: str, twin: str, weights: Path) -> Path:
    """Return what a runtime loads: the weights, or in `run` what safetensors were converted to for it."""
    used, batch = RUNTIMES[runtime], run.recipe.evaluation.batch_size
    loaded = used.artifact(used.as_shipped, "fp32")
    if not loaded.is_export or weights.suffix != ".safetensors":
        return weights
    wanted = Format(loaded.kind, batch if loaded.is_of_a_batch else None)
    [route] = conversion.converted(run, twin, weights, [wanted], log_stays=False)["routes"]
    if route["status"] != "ok":
        raise launch.ChildFailed(f"conversion for {runtime} {conversion.route_text(route)}")
    return run.artifact_folder(twin) / wanted.file.name
