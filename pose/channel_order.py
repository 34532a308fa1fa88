"""In which order of channels weights expect their input: written into their file, followed by what runs them.

The same network runs on either order and says nothing: a published Simple Baselines checkpoint is trained
on BGR, as OpenCV reads (its code), and loses most of its AP on RGB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pose import weights
from pose.errors import UserError
from pose.recipe import Recipe, from_dict

KEY = "channel_order"
ORDERS = ("rgb", "bgr")
OF_LAYOUT = "channel_order_of_layout"
"""In a checkpoint's metadata: `of_layout`, for one that does not say its own."""


def of(metadata: Mapping[str, object]) -> str | None:
    """Return `rgb` or `bgr`, which `metadata` of weights name; None where they do not say."""
    said = metadata.get(KEY)
    return str(said) if said in ORDERS else None


def of_layout(names: Iterable[str]) -> str:
    """Return what the publishers of torch checkpoints with these tensor names train on.

    mmpose and torchvision (a body without a head) read RGB; Simple Baselines' own code reads BGR.
    """
    names = list(names)
    if any(name.startswith(("backbone.", "keypoint_head.", "head.")) for name in names):
        return "rgb"
    return "bgr" if any("deconv_layers." in name for name in names) else "rgb"


def require(path: Path, recipe: Recipe) -> None:
    """Raise UserError where the weights at `path` say that they expect another order than the recipe's."""
    found, wanted = of(weights.read_with_metadata(path)[1]), recipe.data.channel_order
    if found not in (None, wanted):
        raise UserError(
            f"{path} expects {found} images, the recipe gives {wanted}; "
            f"give --set data.channel_order={found} with it"
        )


def followed(path: Path, recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Return the recipe with the channel order that the weights at `path` say; weights that do not keep its.

    overrides: the --set that the recipe was loaded with. Raises UserError where one of them names the other
    order, and as `pose.weights.read`.
    """
    found = of(weights.read_with_metadata(path)[1])
    if found in (None, recipe.data.channel_order):
        return recipe
    if any(override.partition("=")[0].strip() in {"data", f"data.{KEY}"} for override in overrides):
        raise UserError(
            f"{path} expects {found} images; --set data.{KEY}={recipe.data.channel_order} contradicts it: "
            "leave it out, and the weights decide"
        )
    raw = recipe.model_dump(mode="json")
    return from_dict(raw | {"data": raw["data"] | {KEY: found}}, recipe.name)
