"""The built-in dataset of a recipe, rendered where it is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import console
from pose import synthetic
from pose.errors import UserError
from pose.recipe import Recipe


def make_data(recipe: Recipe, out: Path) -> dict[str, Any]:
    """Render the recipe's built-in dataset into `out`; a whole one of the same parameters is kept."""
    wanted = recipe.data.synthetic
    if wanted is None:
        raise UserError(
            f"recipe '{recipe.name}' has no built-in dataset; give the folder of COCO with --coco DIR"
        )
    with console.bar("render") as move:
        made: dict[str, Any] = synthetic.make(
            out,
            train_images=wanted.train_images,
            val_images=wanted.val_images,
            seed=wanted.seed,
            on_progress=move,
        )
    return made
