"""What an exported network takes and gives: the contract of every ONNX and IR that `convert` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pose.errors import UserError
from pose.skeleton import NUM_JOINTS

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Port:
    """One input or output: its element type by NumPy's name, its shape; None is a side of any length."""

    kind: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.kind} of {'x'.join('?' if side is None else str(side) for side in self.shape)}"

    def fits(self, wanted: Port) -> bool:
        """Return whether this may be `wanted`: every side that both know is the same."""
        sides = zip(self.shape, wanted.shape, strict=False)
        same = len(self.shape) == len(wanted.shape) and all(a == b or None in (a, b) for a, b in sides)
        return same and self.kind == wanted.kind


def require(path: str, inputs: Sequence[Port], outputs: Sequence[Port], recipe: dict[str, Any]) -> None:
    """Raise UserError unless the network at `path` takes images and gives heatmaps of the recipe's sizes.

    Images (N, H, W, 3) uint8, heatmaps (N, K, h, w) float32; a recipe without a model knows no sizes.
    """
    width, height = recipe.get("model", {}).get("input_size", (None, None))
    _require_one(path, "takes", inputs, Port("uint8", (None, height, width, 3)))
    _require_one(path, "gives", outputs, Port("float32", (None, NUM_JOINTS, None, None)))


def require_images(images: np.ndarray, wanted: tuple[int, ...]) -> None:
    """Raise UserError unless images are uint8 of the shape `wanted` (N, H, W, 3), or fewer than N of them.

    Some runtimes read float32 as bytes, or leave out the images that do not fit.
    """
    if images.dtype != "uint8" or images.shape[1:] != wanted[1:] or not 0 < len(images) <= wanted[0]:
        found = Port(str(images.dtype), images.shape)
        raise UserError(
            f"images are {found}; expected {Port('uint8', wanted)}, of which the last batch may hold fewer"
        )


def _require_one(path: str, does: str, found: Sequence[Port], wanted: Port) -> None:
    if len(found) != 1 or not found[0].fits(wanted):
        raise UserError(
            f"{path} {does} {' and '.join(map(str, found)) or 'nothing'}; expected {wanted}, "
            "as a network that 'twinpose convert' wrote of this recipe"
        )
