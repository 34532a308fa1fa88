"""Verbs about datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import console
from bench import pipelines as pipelines_
from bench.cli.options import AsJson, CocoDir, Out, Part, RecipeName, Set, Workers
from bench.verbs import data
from pose import recipe as recipes
from pose.files import require_target

data_app = typer.Typer(help="Make, check, split and look at datasets.", no_args_is_help=True)


@data_app.command(name="make")
def make(
    out: Out,
    recipe: Annotated[str | None, typer.Option(help="The recipe whose built-in dataset is made.")] = None,
    train_images: Annotated[int | None, typer.Option(min=1)] = None,
    val_images: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    contact_sheet: Annotated[Path | None, typer.Option(help="Also draw a sheet of images (.png).")] = None,
    as_json: AsJson = False,
) -> None:
    """Render the built-in dataset in the official COCO layout."""
    data.make(out, recipe, (train_images, val_images, seed), contact_sheet, as_json)


@data_app.command(name="check")
def check(coco: CocoDir, as_json: AsJson = False) -> None:
    """Count a COCO folder's instances and name every problem; exits 1 when there is one."""
    raise typer.Exit(data.check(coco, as_json))


@data_app.command(name="split")
def split(recipe: RecipeName, coco: CocoDir, out: Out, set_: Set = None, as_json: AsJson = False) -> None:
    """Fix which images train, validate and test, in a manifest with a checksum."""
    require_target(out, recipes.find(recipe))
    data.split(recipes.load(recipe, set_), coco, out, as_json)


@data_app.command(name="sample")
def sample(
    recipe: RecipeName,
    coco: CocoDir,
    ann: Annotated[int, typer.Option(help="The annotation's id.")],
    out: Out,
    split: Annotated[Part, typer.Option(help="The part it is in.")] = Part.train,
    epoch: Annotated[int | None, typer.Option(min=1, help="Augmented as in this epoch.")] = None,
    seed: Annotated[int | None, typer.Option(help="The augmentation's seed; default the recipe's.")] = None,
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="Augment as training does.")] = True,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Write one sample (.npz) as either twin is fed it."""
    require_target(out, recipes.find(recipe))
    data.sample(
        recipes.load(recipe, set_),
        coco,
        split.value,
        ann,
        (epoch or 1) if augment else None,
        seed,
        out,
        as_json,
    )


@data_app.command(name="pipelines")
def pipelines(
    recipe: RecipeName,
    coco: CocoDir,
    weights: Annotated[Path | None, typer.Option(help="Also compare the AP of these (.safetensors).")] = None,
    split: Annotated[Part, typer.Option(help="The part whose people are read.")] = Part.val,
    samples: Annotated[int, typer.Option(min=1, help="People whose pixels and speed are measured.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Epochs of each pipeline that are timed.")] = 5,
    workers: Workers = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Compare each framework's own decoder and warp with the shared ones: pixels, AP and speed."""
    request = pipelines_.Request(
        coco, split.value, weights, samples, rounds, workers if workers is not None else 2
    )
    found = pipelines_.compare(recipes.load(recipe, set_), request)
    console.facts(found, as_json, pipelines_.text(found))
