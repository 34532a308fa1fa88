"""Reads an annotation file leniently, so that `data check` can name what is wrong in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pose.files import read_bytes


class LooseImage(msgspec.Struct, gc=False):
    """An image record whose fields may be anything, or absent (None)."""

    id: Any = None
    file_name: Any = None
    width: Any = None
    height: Any = None


class LoosePerson(msgspec.Struct, gc=False):
    """An annotation record whose fields may be anything, or absent (None)."""

    id: Any = None
    image_id: Any = None
    category_id: Any = None
    bbox: Any = None
    area: Any = None
    iscrowd: Any = 0
    num_keypoints: Any = None
    keypoints: Any = None


class LooseFile(msgspec.Struct):
    """The records of an annotation file, in the order of the file."""

    images: list[LooseImage]
    annotations: list[LoosePerson]


@dataclass(frozen=True)
class Malformed:
    """Why an annotation file could not be read at all, and where in it."""

    where: str
    what: str


def read(path: Path) -> LooseFile | Malformed:
    """Return the records of an annotation file, or why there are none.

    msgspec reads the file; one that holds what it refuses (NaN, 1e999, a record that is no
    object) goes to the standard library's reader, which takes the first two.
    Raises UserError when the file cannot be opened.
    """
    data = read_bytes(path, "COCO person keypoint annotations (official layout)")
    try:
        return msgspec.json.decode(data, type=LooseFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _read_slowly(data)


def _read_slowly(data: bytes) -> LooseFile | Malformed:
    try:
        raw = json.loads(data, object_hook=_without_segmentation)
    except json.JSONDecodeError as error:
        return Malformed(f"line {error.lineno}, column {error.colno}", f"{error.msg}; expected whole JSON")
    except UnicodeDecodeError as error:
        return Malformed(f"byte {error.start}", f"{error.reason}; expected UTF-8")
    except RecursionError:
        return Malformed("the whole file", "nested too deeply; expected COCO annotations")
    lists = [raw.get(name) if isinstance(raw, dict) else None for name in ("images", "annotations")]
    if not all(isinstance(found, list) for found in lists):
        return Malformed("the whole file", "expected an object with the lists 'images' and 'annotations'")
    images, annotations = lists
    return LooseFile(
        [LooseImage(**_fields(LooseImage, row)) for row in images or ()],
        [LoosePerson(**_fields(LoosePerson, row)) for row in annotations or ()],
    )


def _without_segmentation(record: dict[str, Any]) -> dict[str, Any]:
    """Drop polygons as soon as they are read: they are most of the file, and of the memory."""
    record.pop("segmentation", None)
    return record


def _fields(kind: type[msgspec.Struct], row: Any) -> Mapping[str, Any]:
    """Return what of `row` the record has a field for; nothing for a row that is no object."""
    return (
        {name: row[name] for name in kind.__struct_fields__ if name in row} if isinstance(row, dict) else {}
    )
