"""Verbs about a network and its weights: in other formats, and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import console, native, rundir
from bench.cli.options import AsJson, ChannelOrder, Out, RecipeName, RunDir, Set, Twin
from bench.verbs import artifacts
from pose import recipe as recipes
from pose.files import require_target

model_app = typer.Typer(help="What a recipe's network is and costs.", no_args_is_help=True)
weights_app = typer.Typer(help="Checkpoints in other formats.", no_args_is_help=True)


def convert(
    run: RunDir,
    twin: Annotated[Twin | None, typer.Option("--twin", help="One twin; default both.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise the IR too, on images of the training part.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn trained weights into OpenVINO IR and ONNX, and record how far the output moved."""
    with rundir.locked(run):
        raise typer.Exit(artifacts.convert(rundir.opened(run), twin.value if twin else None, int8, as_json))


@model_app.command(name="info")
def model_info(recipe: RecipeName, set_: Set = None, as_json: AsJson = False) -> None:
    """Print parameters and multiply-adds, by stage and as each twin counts them; exits 1 when they differ."""
    raise typer.Exit(artifacts.model_info(recipes.load(recipe, set_), as_json))


@weights_app.command(name="import")
def weights_import(
    file: Annotated[
        str, typer.Argument(help="A .pth, .pt, .tar, .ckpt, .weights.h5 or .safetensors, or 'imagenet'.")
    ],
    recipe: RecipeName,
    out: Out,
    order: Annotated[
        ChannelOrder | None,
        typer.Option(
            "--channel-order",
            help="Of the images that FILE was trained on, needed where FILE does not say: published Simple "
            "Baselines checkpoints are bgr, mmpose's and torchvision's rgb.",
        ),
    ] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Turn a published checkpoint into the suite's safetensors, which say their channel order."""
    require_target(out, recipes.find(recipe))
    count = native.import_weights(file, recipes.load(recipe, set_), out, order and order.value)
    console.facts({"tensors": count, "out": str(out)}, as_json, f"{count} tensors -> {out}")


@weights_app.command(name="export")
def weights_export(
    file: Annotated[Path, typer.Argument(help="Weights of the suite (.safetensors).")],
    recipe: RecipeName,
    out: Annotated[
        Path,
        typer.Option("--out", help="A .pth (torch state dict) or .weights.h5 (keras.Model.load_weights)."),
    ],
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Write the suite's weights as a torch state dict, or as Keras's own HDF5."""
    require_target(out, recipes.find(recipe))
    native.write(recipes.load(recipe, set_), file, out)
    console.facts({"out": str(out)}, as_json, f"wrote {out}")
