"""What several verbs take: choices, and options that read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench import console
from bench.cells.protocol import PROFILES
from bench.cells.runtimes import RUNTIMES
from pose import channel_order
from pose.recipe import Recipe, load, shipped

Device = Literal["cpu", "cuda"]
Twin = Literal["tf", "torch"]
ChannelOrder = Literal["rgb", "bgr"]
Part = Literal["train", "val", "test"]
RuntimeName = Literal[*RUNTIMES]  # type: ignore[valid-type]
ProfileName = Literal[*PROFILES, "matrix"]  # type: ignore[valid-type]
"""How long and how often a cell is measured: a profile, or as the matrix says."""

RunDir = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        help="A shipped recipe by name, or a YAML by path.",
        autocompletion=lambda incomplete: [one for one in shipped("recipes") if one.startswith(incomplete)],
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the recipe.")
]
Coco = Annotated[Path | None, typer.Option("--coco", help="A folder in the official COCO layout.")]
Moved = Annotated[Path | None, typer.Option("--coco", help="Where the run's data set lies now.")]
CocoDir = Annotated[Path, typer.Option("--coco", help="A folder in the official COCO layout.")]
Boxes = Annotated[Path | None, typer.Option("--boxes", help="Detections in COCO results format.")]
DeviceName = Annotated[Device | None, typer.Option("--device", help="Where the twins compute; default cpu.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads; default all physical cores.")
]
Workers = Annotated[int | None, typer.Option("--workers", min=0, help="Loader workers; default 2.")]
Uncertified = Annotated[
    bool, typer.Option("--uncertified", help="Time cells without a parity certificate, and mark them so.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]
Out = Annotated[Path, typer.Option("--out", help="Where to write.")]


def recipe_for(name: str, overrides: list[str] | None, weights: Path | None) -> Recipe:
    """Return a recipe with the channel order of the weights that it is to run; it is told where it differs.

    Raises UserError as `pose.recipe.load` and `pose.channel_order.followed`.
    """
    resolved = load(name, overrides)
    if weights is None:
        return resolved
    followed = channel_order.followed(weights, resolved, overrides or [])
    if followed != resolved:
        console.say(
            f"{weights} expects {followed.data.channel_order} images: channel_order follows the weights"
        )
    return followed


def files_of_coco(root: Path) -> list[Path]:
    """Return the folders of a COCO folder, whose files no verb may overwrite that reads them."""
    return [one for one in root.glob("*") if one.is_dir()]


def files_of_run(run: Path) -> list[Path]:
    """Return the files and folders of a run that no verb may overwrite which reads it."""
    return [one for one in run.glob("*") if one.is_dir() or one.suffix in {".json", ".yaml"}]
