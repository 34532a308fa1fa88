"""What is wrong with an annotation file's records, a problem each.

Coordinates are in COCO's frame, in which an image of width W spans 0 to W: a joint or a box that
touches either border is inside. Boxes are rounded in the official files, so that one may reach
`BOX_TOLERANCE_PX` further; the loader clips it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from pose import annotation_file, records
from pose.errors import UserError
from pose.records import PERSON, LooseFile, LooseImage, LoosePerson, is_id
from pose.skeleton import NUM_JOINTS

BOX_TOLERANCE_PX = 1.0


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its kind, the file or record, and what was found and expected."""

    kind: str
    where: str
    what: str


def file_problems(source: str, file: LooseFile) -> Iterator[Problem]:
    """Yield what is wrong with the records of one file, which is called `source`."""
    images = {image.id: image for image in file.images if is_id(image.id)}
    for kind, rows in (("image", file.images), ("annotation", file.annotations)):
        for row in rows:
            if not is_id(row.id):
                expected = "an integer of 64 bits"
                yield Problem(f"malformed {kind}", source, f"id {row.id!r}; expected {expected}")
    for person in file.annotations:
        yield from _annotation_problems(person, images, f"{source} annotation {person.id}")
    for name, count in Counter(str(image.file_name) for image in file.images).items():
        if count > 1:
            yield Problem("picture listed twice", source, f"{name} is the file of {count} images")
    if reason := _why_nobody(file):
        yield Problem("no usable person", source, reason)


def _why_nobody(file: LooseFile) -> str | None:
    """Return why nobody of a file that can be loaded is used; None too where it cannot be loaded."""
    try:
        categories = Counter(row.category_id for row in file.annotations if is_id(row.category_id))
        return annotation_file.why_nobody(annotation_file.held_together(records.strictly(file), categories))
    except (msgspec.ValidationError, UserError):
        return None


def repeated_ids(files: dict[str, LooseFile], joined: bool) -> Iterator[Problem]:
    """Yield ids that stand more than once in one annotation file or, where the files are joined, in all."""
    groups = [files] if joined else [{source: file} for source, file in files.items()]
    for group in groups:
        for kind in ("images", "annotations"):
            places: dict[int, list[str]] = {}
            for source, file in group.items():
                for record in getattr(file, kind):
                    if is_id(record.id):
                        places.setdefault(record.id, []).append(source)
            for number, found in places.items():
                if len(found) > 1:
                    listed = ", ".join(f"{n} times in {source}" for source, n in Counter(found).items())
                    singular = kind.removesuffix("s")
                    yield Problem(f"duplicate {singular} id", f"{singular} {number}", listed)


def finite(values: Any, length: int) -> bool:
    """Return whether `values` is a list of so many numbers, all of them finite."""
    return _numbers(values, length) and all(map(_is_finite, values))


def _is_finite(value: float) -> bool:
    return abs(value) <= sys.float_info.max


def _numbers(values: Any, length: int) -> bool:
    return isinstance(values, list) and len(values) == length and all(type(v) in {int, float} for v in values)


def _annotation_problems(person: LoosePerson, images: dict[int, LooseImage], where: str) -> Iterator[Problem]:
    image = images.get(person.image_id) if is_id(person.image_id) else None
    if image is None:
        yield Problem("unlisted image", where, f"image {person.image_id!r} is not among the file's images")
    if not is_id(person.category_id):
        yield Problem(
            "malformed annotation", where, f"category_id {person.category_id!r}; expected an integer"
        )
    if person.category_id != PERSON:
        return
    size = size_of(image) if image else None
    if not _numbers([person.area], 1):
        yield Problem("malformed annotation", where, f"area {person.area!r}; expected a number")
    elif not _is_finite(person.area):
        yield Problem("number not finite", where, f"area {person.area}")
    if not _is_flag(person.iscrowd):
        yield Problem("malformed annotation", where, f"iscrowd {person.iscrowd!r}; expected 0 or 1")
    yield from _box_problems(person.bbox, size, where)
    yield from _keypoint_problems(person, size, where)


def _is_flag(value: Any) -> bool:
    return type(value) is int and value in (0, 1)


def size_of(image: LooseImage) -> tuple[int, int] | None:
    """Return width and height as recorded; None where they are no positive integers."""
    sides = (image.width, image.height)
    return sides if all(is_id(side) and side > 0 for side in sides) else None


def _box_problems(box: Any, size: tuple[int, int] | None, where: str) -> Iterator[Problem]:
    if not _numbers(box, 4):
        yield Problem("malformed annotation", where, f"bbox {box!r}; expected [x, y, width, height]")
    elif not finite(box, 4):
        yield Problem("number not finite", where, f"bbox {box}")
    elif box[2] <= 0 or box[3] <= 0:
        yield Problem("empty box", where, f"bbox {box}; expected positive width and height")
    elif size and not _inside(box, size):
        yield Problem("box outside the image", where, f"bbox {box} in an image of {size[0]}x{size[1]}")


def _inside(box: list[float], size: tuple[int, int]) -> bool:
    x, y, w, h = box
    slack = BOX_TOLERANCE_PX
    return min(x, y) >= -slack and x + w <= size[0] + slack and y + h <= size[1] + slack


def _keypoint_problems(person: LoosePerson, size: tuple[int, int] | None, where: str) -> Iterator[Problem]:
    values = person.keypoints
    if not isinstance(values, list) or len(values) != 3 * NUM_JOINTS:
        given = f"{len(values)} numbers" if isinstance(values, list) else repr(values)
        yield Problem("wrong number of keypoints", where, f"{given}; expected {3 * NUM_JOINTS}")
        return
    if not _numbers(values, 3 * NUM_JOINTS):
        yield Problem("malformed annotation", where, "keypoints hold a value that is no number")
        return
    for joint in range(NUM_JOINTS):
        x, y, visibility = values[3 * joint : 3 * joint + 3]
        if not all(map(_is_finite, (x, y, visibility))):
            yield Problem("number not finite", where, f"joint {joint} is ({x}, {y}, {visibility})")
        elif visibility not in (0, 1, 2):
            given = f"joint {joint} has {visibility}, used as {'' if visibility > 0 else 'un'}labelled"
            yield Problem("wrong visibility", where, f"{given}; expected 0, 1 or 2")
        elif visibility and x == y == 0:
            yield Problem("keypoint at the origin", where, f"joint {joint} at (0, 0) has {visibility}")
        elif visibility and size and not (0 <= x <= size[0] and 0 <= y <= size[1]):
            yield Problem(
                "keypoint outside the image", where, f"joint {joint} at ({x}, {y}) of {size[0]}x{size[1]}"
            )
    labelled = sum(v > 0 for v in values[2::3])
    if person.num_keypoints not in (None, labelled):
        yield Problem(
            "wrong num_keypoints", where, f"{person.num_keypoints!r}; {labelled} joints are labelled"
        )
