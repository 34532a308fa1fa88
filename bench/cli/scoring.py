"""Verbs that predict and score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import rundir
from bench.cli.options import (
    AsJson,
    Boxes,
    Coco,
    CocoDir,
    DeviceName,
    Out,
    Part,
    RecipeName,
    Runtime,
    Set,
    Threads,
    Twin,
)
from bench.verbs import scoring
from pose import recipe as recipes
from pose.files import require_target


def eval_(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Score this run's test part.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions in COCO results format.")] = None,
    coco: Coco = None,
    split: Annotated[Part, typer.Option(help="The part that was predicted.")] = Part.val,
    recipe: Annotated[str | None, typer.Option(help="Whose split; default the official one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score predictions by COCO's ten numbers; with a run alone its test part, on the best checkpoints."""
    if run is not None and predictions is None:
        with rundir.locked(run):
            scoring.evaluate_run(rundir.opened(run), as_json)
    else:
        scoring.evaluate_predictions(predictions, run, coco, split.value, recipe, as_json)


def predict(
    runtime: Annotated[Runtime, typer.Option(help="What runs the network.")],
    weights: Annotated[Path, typer.Option(help="safetensors, or an .onnx or .xml for its runtime.")],
    recipe: RecipeName,
    coco: CocoDir,
    out: Out,
    split: Annotated[Part, typer.Option(help="The part to predict.")] = Part.val,
    boxes: Boxes = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="The flip test; default the recipe's.")
    ] = None,
    heatmaps: Annotated[Path | None, typer.Option(help="Also write the decoded heatmaps (.npz).")] = None,
    twin: Annotated[
        Twin, typer.Option(help="Whose export ONNX Runtime and OpenVINO are given.")
    ] = Twin.torch,
    device: DeviceName = None,
    threads: Threads = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Run one runtime over a split and save keypoints in COCO results format."""
    overrides = [*(set_ or []), *([] if flip is None else [f"evaluation.flip_test={str(flip).lower()}"])]
    require_target(out, recipes.find(recipe))
    scoring.predict(
        recipes.load(recipe, overrides),
        scoring.PredictRequest(
            runtime.value,
            weights,
            coco,
            split.value,
            boxes,
            out,
            heatmaps,
            twin.value,
            device.value if device else "cpu",
            threads,
        ),
        as_json,
    )
