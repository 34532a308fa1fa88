"""Verbs about a network and its weights: in other formats, and what they cost."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import console
from bench.artifacts import checkpoints
from bench.artifacts import model_info as model_info_
from bench.cells.cell import TWINS
from bench.run import folder
from bench.stages import conversion
from pose import recipe as recipes
from pose.files import require_writable
from twinpose.exits import CHECK_FAILED
from twinpose.options import AsJson, ChannelOrder, Moved, Out, RecipeName, RunDir, Set, Twin

model_app = typer.Typer(help="What a recipe's network is and costs.", no_args_is_help=True)
weights_app = typer.Typer(help="Checkpoints in other formats.", no_args_is_help=True)


def convert(
    run: RunDir,
    twin: Annotated[Twin | None, typer.Option("--twin", help="One twin; default both.")] = None,
    matrix: Annotated[
        str | None,
        typer.Option(help="Also what the cells of this matrix load; default the recipe's matrix."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise the IR too, on images of the training part.")
    ] = False,
    coco: Moved = None,
    as_json: AsJson = False,
) -> int:
    """Turn trained weights into OpenVINO IR and ONNX, and record how far the output moved."""
    records, kinds = {}, ("ir-int8",) if int8 else ()
    asked = (f" --matrix {shlex.quote(matrix)}" if matrix else "") + (" --int8" if int8 else "")
    with folder.locked(run):
        made = folder.opened(run, coco)
        for name in [twin] if twin else TWINS:
            with made.stage(f"convert {name}", f"twinpose convert {made.quoted} --twin {name}{asked}"):
                records[name] = conversion.convert(made, name, matrix=matrix, kinds=kinds)
    routes = [(name, route) for name, record in records.items() for route in record["routes"]]
    lines = [
        f"{name} {conversion.route_name(r)} -> {r['file']}  {conversion.route_text(r)}" for name, r in routes
    ]
    console.facts(records, as_json, "\n".join(lines))
    return CHECK_FAILED if any(route["status"] == "failed" for _, route in routes) else 0


@model_app.command(name="info")
def model_info(recipe: RecipeName, set_: Set = None, as_json: AsJson = False) -> int:
    """Print parameters and multiply-adds, by stage and as each twin counts them; exits 1 when they differ."""
    resolved = recipes.load(recipe, set_)
    found = model_info_.model_info(resolved)
    console.facts(found, as_json, _costs(resolved.model.backbone, found))
    counts = [own for own in found["twins"].values() if "unsupported" not in own]
    differing = [own for own in counts for key in ("trainable_parameters", "macs") if own[key] != found[key]]
    return CHECK_FAILED if differing else 0


def _costs(backbone: str, found: dict[str, Any]) -> str:
    """Return what a network costs, a line a stage, then their sum, then a line a twin."""
    width, height = found["input_size"]
    lines = [f"{backbone} at {width}x{height} -> heatmaps {'x'.join(map(str, found['heatmap_size']))}"]
    counted = {twin: own for twin, own in found["twins"].items() if "unsupported" not in own}
    rows = [(one["name"], one["parameters"], one["macs"]) for one in found["stages"]]
    rows.append(("sum", found["trainable_parameters"], found["macs"]))
    rows += [(f"{twin} counts", own["trainable_parameters"], own["macs"]) for twin, own in counted.items()]
    lines += console.aligned((name, f"{n:,} parameters", f"{macs:,} MACs") for name, n, macs in rows)
    lines += [f"{twin}  {own['unsupported']}" for twin, own in found["twins"].items() if twin not in counted]
    return "\n".join(lines)


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
            help="Of the images that FILE was trained on; default what FILE says, else what is usual: "
            "published Simple Baselines checkpoints are bgr, mmpose's and torchvision's rgb.",
        ),
    ] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Turn a published checkpoint into the suite's safetensors, which say their channel order."""
    require_writable(out, but_not=[recipes.find(recipe)])
    made = checkpoints.import_weights(file, recipes.load(recipe, set_), out, order)
    facts = {"tensors": made.tensors, "channel_order": made.channel_order, "out": str(out)}
    console.say(f"channel order {made.channel_order} ({made.by})")
    console.facts(facts, as_json, f"{made.tensors} tensors -> {out}")


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
    require_writable(out, but_not=[recipes.find(recipe)])
    checkpoints.write(recipes.load(recipe, set_), file, out)
    console.facts({"out": str(out)}, as_json, f"wrote {out}")
