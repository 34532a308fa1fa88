"""Verbs about datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench import console
from bench.data import native_pixels
from pose import check as check_
from pose import recipe as recipes
from pose import sample as sample_
from pose import splits, synthetic
from pose.errors import UserError
from pose.files import require_writable, write_arrays
from pose.recipe import Synthetic
from twinpose.exits import CHECK_FAILED
from twinpose.options import AsJson, CocoDir, Out, Part, RecipeName, Set, Workers, files_of_coco, recipe_for

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
    given = {"train_images": train_images, "val_images": val_images, "seed": seed}
    if contact_sheet:
        require_writable(contact_sheet)
    chosen = _built_in(recipe).model_copy(update={n: v for n, v in given.items() if v is not None})
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


def _built_in(recipe: str | None) -> Synthetic:
    """Return what a recipe's built-in dataset is, by default the demo's."""
    found = recipes.load(recipe or "demo").data.synthetic
    if found is None:
        raise UserError(f"recipe '{recipe}' has no built-in dataset; expected for example --recipe demo")
    return found


@data_app.command(name="check")
def check(
    coco: CocoDir,
    recipe: Annotated[str | None, typer.Option(help="Whose files; default the official layout.")] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> int:
    """Count a COCO folder's instances and name every problem; exits 1 when there is one."""
    resolved = recipes.load(recipe, set_) if recipe else None
    joined = resolved is not None and resolved.split.method == "fractions" and len(resolved.split.sources) > 1
    layout = splits.layout(resolved.data if resolved else recipes.Data())
    with console.bar("check") as move:
        found = check_.check(coco, layout, joined=joined, on_progress=move)
    console.facts(found.to_dict(), as_json, found.text())
    return CHECK_FAILED if found.problems else 0


@data_app.command(name="split")
def split(recipe: RecipeName, coco: CocoDir, out: Out, set_: Set = None, as_json: AsJson = False) -> None:
    """Fix which images train, validate and test, in a manifest with a checksum."""
    require_writable(out, but_not=files_of_coco(coco))
    manifest = splits.of_what_is_there(recipes.load(recipe, set_), coco)
    splits.save(manifest, out)
    counts = {
        name: {"images": len(part.image_ids), "people": len(part.annotation_ids)}
        for name, part in manifest.parts.items()
        if part
    }
    lines = [f"{name}: {c['images']} images, {c['people']} people" for name, c in counts.items()]
    if len(counts) == 1:
        console.say(f"no other part has an annotation file in {coco}")
    facts = {"sha256": manifest.sha256, "out": str(out), "parts": counts}
    console.facts(facts, as_json, "\n".join([*lines, f"SHA-256 {manifest.sha256} -> {out}"]))


@data_app.command(name="sample")
def sample(
    recipe: RecipeName,
    coco: CocoDir,
    ann: Annotated[int, typer.Option(help="The annotation's id.")],
    out: Out,
    split: Annotated[Part, typer.Option(help="The part it is in.")] = "train",
    epoch: Annotated[int | None, typer.Option(min=1, help="Augmented as in this epoch.")] = None,
    seed: Annotated[int | None, typer.Option(help="The augmentation's seed; default the recipe's.")] = None,
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="Augment as training does.")] = True,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Write one sample (.npz) as either twin is fed it."""
    resolved = recipes.load(recipe, set_)
    require_writable(out, but_not=files_of_coco(coco))
    dataset = splits.select(splits.of(resolved, coco, split), coco, split)
    found = np.flatnonzero(dataset.ann_ids == ann)
    if not len(found):
        raise UserError(
            f"annotation {ann} is no usable person of '{split}' in {coco}; expected one of its "
            f"{len(dataset)} ids, such as {dataset.ann_ids[0]}"
        )
    epoch = (epoch or 1) if augment else None
    made = sample_.make(dataset, int(found[0]), resolved, epoch=epoch, seed=seed)
    names = ("image", "heatmaps", "weights", "affine")
    write_arrays(out, {name: getattr(made, name) for name in names})
    facts = {"annotation": ann, "labelled": int((made.weights > 0).sum()), "epoch": epoch, "out": str(out)}
    console.facts(facts, as_json, f"annotation {ann}: {facts['labelled']} joints with weight -> {out}")


@data_app.command(name="pipelines")
def pipelines(
    recipe: RecipeName,
    coco: CocoDir,
    weights: Annotated[Path | None, typer.Option(help="Also compare the AP of these (.safetensors).")] = None,
    split: Annotated[Part, typer.Option(help="The part whose people are read.")] = "val",
    samples: Annotated[int, typer.Option(min=1, help="People whose pixels and speed are measured.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Epochs of each pipeline that are timed.")] = 5,
    workers: Workers = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Compare each framework's own decoder and warp with the shared ones: pixels, AP and speed."""
    request = native_pixels.Request(
        coco, split, weights, samples, rounds, workers if workers is not None else 2
    )
    found = native_pixels.compare_pipelines(recipe_for(recipe, set_, weights), request)
    console.facts(found, as_json, native_pixels.text(found))
