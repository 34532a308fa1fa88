"""In which order of channels weights expect their input: written into their file, held against the recipe.

The same network runs on either order and says nothing: a published Simple Baselines checkpoint is trained
on BGR, as OpenCV reads (its code), and loses most of its AP on RGB.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from pose import weights
from pose.errors import UserError
from pose.recipe import Recipe

KEY = "channel_order"
ORDERS = ("rgb", "bgr")
HINT = "published Simple Baselines checkpoints are bgr; mmpose's and torchvision's rgb"


def of(metadata: Mapping[str, object]) -> str | None:
    """Return `rgb` or `bgr`, which `metadata` of weights name; None where they do not say."""
    said = metadata.get(KEY)
    return str(said) if said in ORDERS else None


def require(path: Path, recipe: Recipe) -> None:
    """Raise UserError unless the weights at `path` expect the recipe's channel order.

    Weights that the suite trained before it wrote the order down are taken to be their recipe's.
    """
    metadata, wanted = weights.read_with_metadata(path)[1], recipe.data.channel_order
    found = of(metadata)
    if found is None and not metadata.keys() & {"epoch", "seed"}:
        file = shlex.quote(str(path))
        raise UserError(
            f"{path} does not say its channel order; expected weights of 'twinpose weights import {file} "
            f"--recipe {shlex.quote(recipe.name)} --channel-order bgr --out NEW.safetensors', or rgb: {HINT}"
        )
    if found not in (None, wanted):
        raise UserError(
            f"{path} expects {found} images, the recipe gives {wanted}; "
            f"give --set data.channel_order={found} with it"
        )
