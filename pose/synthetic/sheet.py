"""A contact sheet: many images at a glance, skeletons drawn on every second one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pose.coco import annotation_path, read_annotations, read_image
from pose.errors import UserError
from pose.files import replacing
from pose.records import Person
from pose.skeleton import COCO

_LEFT, _RIGHT, _MIDDLE = (255, 140, 0), (0, 190, 255), (120, 255, 80)
_GAP_PX = 4


def contact_sheet(
    coco: Path, out_png: Path, *, rows: int = 6, columns: int = 6, keypoints: bool = True
) -> None:
    """Write a PNG of the first rows x columns images of `coco` (validation, then training).

    With `keypoints`, every second tile shows boxes and skeletons: left orange, right blue, the
    middle green; a seen joint is a disc, an occluded one a ring. Raises UserError when there is
    no such dataset.
    """
    tiles: list[np.ndarray] = []
    for source in ("val2017", "train2017"):
        path = annotation_path(coco, source)
        if not path.exists():
            continue
        file = read_annotations(path)
        for image in file.images[: rows * columns - len(tiles)]:
            pixels = read_image(Path(coco) / source / image.file_name)
            if keypoints and len(tiles) % 2 == 1:
                pixels = _annotated(pixels, [p for p in file.annotations if p.image_id == image.id])
            tiles.append(pixels)
    if not tiles:
        raise UserError(f"{coco} has no images in the official COCO layout; run 'twinpose data make'")
    sheet = _grid(tiles, rows, columns)
    with replacing(out_png) as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _grid(tiles: list[np.ndarray], rows: int, columns: int) -> np.ndarray:
    """(H, W, 3): tiles in reading order on white, each fitted into the size of the first."""
    height, width = tiles[0].shape[:2]
    rows = min(rows, -(-len(tiles) // columns))
    sheet = np.full(
        (rows * (height + _GAP_PX) + _GAP_PX, columns * (width + _GAP_PX) + _GAP_PX, 3), 255, np.uint8
    )
    for k, tile in enumerate(tiles):
        row, column = divmod(k, columns)
        scale = min(height / tile.shape[0], width / tile.shape[1])
        if scale != 1:
            tile = cv2.resize(tile, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
        y, x = _GAP_PX + row * (height + _GAP_PX), _GAP_PX + column * (width + _GAP_PX)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _annotated(pixels: np.ndarray, people: list[Person]) -> np.ndarray:
    out = pixels.copy()
    for person in people:
        x, y, w, h = (round(v) for v in person.bbox)
        cv2.rectangle(out, (x, y), (x + w, y + h), (255, 255, 255), 1)
        if any(person.keypoints):
            draw_skeleton(out, np.array(person.keypoints).reshape(-1, 3))
    return out


def draw_skeleton(image: np.ndarray, joints: np.ndarray) -> None:
    """Draw joints (17, 3: x, y, visibility) and limbs on `image` (H, W, 3) uint8 RGB, in place."""
    at = [(round(x), round(y)) for x, y, _ in joints]
    for a, b in COCO.limbs:
        if joints[a, 2] and joints[b, 2]:
            cv2.line(image, at[a], at[b], _side_colour(a, b), 1, cv2.LINE_AA)
    for j, (_, _, visibility) in enumerate(joints):
        if visibility:
            cv2.circle(image, at[j], 2, _side_colour(j, j), -1 if visibility == 2 else 1, cv2.LINE_AA)


def _side_colour(a: int, b: int) -> tuple[int, int, int]:
    sides = {COCO.joints[j].partition("_")[0] for j in (a, b)} - {"nose"}
    return {"left": _LEFT, "right": _RIGHT}.get(sides.pop(), _MIDDLE) if len(sides) == 1 else _MIDDLE
