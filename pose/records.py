"""The records of an annotation file: as they must be, and leniently, so that what is wrong can be named.

A sound file is decoded in C into `Image` and `Person`. One that holds anything else is read a second
time into records whose fields may be anything; from there `pose.check` names every problem, and
`strictly` takes what is legal though unusual: whole floats for integers, booleans and null for
`iscrowd`, records of other categories that lack anything, NaN in fields that nobody reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from pose.files import as_utf8, read_bytes

Record = TypeVar("Record", bound=msgspec.Struct)

PERSON = 1
EXPECTED = "COCO person keypoint annotations"

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Of an image, an annotation or a category: any integer of 64 bits."""
Side = Annotated[int, Meta(gt=0, le=2**31 - 1)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1)]


class Image(msgspec.Struct, frozen=True, gc=False):
    """One image record of an annotation file."""

    id: Id
    file_name: Name
    width: Side
    height: Side


class Person(msgspec.Struct, frozen=True, gc=False):
    """One annotation record, in image pixels."""

    id: Id
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    area: float
    iscrowd: Flag = 0
    num_keypoints: int | None = None
    keypoints: list[float] = []


class StrictFile(msgspec.Struct, frozen=True):
    """What is read of an annotation file, in the order of the file."""

    images: list[Image]
    annotations: list[Person]


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


def is_id(value: Any) -> bool:
    """Return whether a value is an integer of 64 bits, which is what an id may be."""
    return type(value) is int and -(2**63) <= value < 2**63


def read(path: Path) -> LooseFile | Malformed:
    """Return the records of an annotation file, or why there are none.

    Whole floats where integers belong, and booleans and null as `iscrowd`, are already the integers that
    they stand for. Raises UserError when the file cannot be opened.
    """
    return loosely(read_bytes(path, EXPECTED))


def loosely(data: bytes) -> LooseFile | Malformed:
    """Return the records in the bytes of an annotation file, as `read` does.

    msgspec reads them; a file that holds what it refuses (NaN, 1e999, a record that is no object) goes to
    the standard library's reader, which takes the first two.
    """
    try:
        file: LooseFile | Malformed = msgspec.json.decode(as_utf8(data), type=LooseFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        file = _read_slowly(data)
    if isinstance(file, LooseFile):
        _make_whole(file)
    return file


def strictly(file: LooseFile) -> StrictFile:
    """Return the records of `file` as they must be; those of other categories are left out.

    Raises msgspec.ValidationError that names the first record that is wrong.
    """
    images = [strict(row, Image, f"images[{n}]") for n, row in enumerate(file.images)]
    rows = [(n, row) for n, row in enumerate(file.annotations) if _may_be_person(row)]
    return StrictFile(images, [strict(row, Person, f"annotations[{n}]") for n, row in rows])


def _may_be_person(row: LoosePerson) -> bool:
    return row.category_id == PERSON or not is_id(row.category_id)


def strict(row: LooseImage | LoosePerson, kind: type[Record], place: str = "it") -> Record:
    """Return one record as it must be; msgspec.ValidationError says what is wrong, and in which."""
    fields = msgspec.structs.asdict(row)
    if kind is Person and fields["keypoints"] is None:
        fields["keypoints"] = []
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise msgspec.ValidationError(f"{error}, in {place} (id {row.id!r})") from error


def _make_whole(file: LooseFile) -> None:
    for image in file.images:
        image.id, image.width, image.height = _whole(image.id), _whole(image.width), _whole(image.height)
    for row in file.annotations:
        row.id, row.image_id, row.category_id = _whole(row.id), _whole(row.image_id), _whole(row.category_id)
        row.num_keypoints = _whole(row.num_keypoints)
        row.iscrowd = int(row.iscrowd or 0) if row.iscrowd in (None, False, True) else row.iscrowd


def _whole(value: Any) -> Any:
    """Return a float without a fraction as the integer that it is, anything else as it stands."""
    return int(value) if type(value) is float and value.is_integer() else value


def rows_as(rows: Any, kind: type[Record]) -> list[Record]:
    """Return the rows of a results file as `kind`; a whole float stands for the integer.

    Raises msgspec.ValidationError that names the first row that is wrong.
    """
    try:
        return msgspec.convert(rows, list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        whole = [_whole_ids(row) for row in rows] if isinstance(rows, list) else rows
        return msgspec.convert(whole, list[kind])  # type: ignore[valid-type]


def _whole_ids(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    return row | {name: _whole(row[name]) for name in ("image_id", "category_id") if name in row}


def _read_slowly(data: bytes) -> LooseFile | Malformed:
    try:
        raw = json.loads(as_utf8(data), object_hook=_without_segmentation)
    except json.JSONDecodeError as error:
        return Malformed(f"line {error.lineno}, column {error.colno}", f"{error.msg}; expected whole JSON")
    except UnicodeDecodeError as error:
        return Malformed(f"byte {error.start}", f"{error.reason}; expected UTF-8")
    except RecursionError:
        return Malformed("the whole file", "nested too deeply; expected COCO annotations")
    except ValueError as error:  # an integer of thousands of digits
        return Malformed("the whole file", f"{error}; expected COCO annotations")
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
