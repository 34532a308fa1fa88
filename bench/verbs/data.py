"""What is done with datasets: made, checked, split, looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import console
from pose import check as check_
from pose import recipe as recipes
from pose import sample as sample_
from pose import splits, synthetic
from pose.coco import inputs
from pose.errors import UserError
from pose.files import replacing, require_target
from pose.recipe import Recipe


def make(
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


def check(coco: Path, as_json: bool) -> int:
    """Check a COCO folder; 1 when there is a problem."""
    with console.bar("check") as move:
        found = check_.check(coco, on_progress=move)
    console.facts(found.to_dict(), as_json, found.text())
    return 1 if found.problems else 0


def split(recipe: Recipe, coco: Path, out: Path, as_json: bool) -> None:
    """Write a split manifest."""
    require_target(out, *inputs(coco))
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


def sample(
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
    require_target(out, *inputs(coco))
    dataset = splits.select(splits.make(recipe.split, coco), coco, part)
    found = np.flatnonzero(dataset.ann_ids == ann)
    if not len(found):
        raise UserError(
            f"annotation {ann} is no usable person of '{part}' in {coco}; expected one of its "
            f"{len(dataset)} ids, such as {dataset.ann_ids[0]}"
        )
    made = sample_.make(dataset, int(found[0]), recipe, epoch=epoch, seed=seed)
    with replacing(out) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, image=made.image, heatmaps=made.heatmaps, weights=made.weights, affine=made.affine)
    facts = {"annotation": ann, "labelled": int((made.weights > 0).sum()), "epoch": epoch, "out": str(out)}
    console.facts(facts, as_json, f"annotation {ann}: {facts['labelled']} joints with weight -> {out}")
