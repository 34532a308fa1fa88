"""Reads one COCO annotation file: its images and its people, and which of them can be used.

Only the fields that pose estimation needs are decoded: segmentations are skipped while
parsing, which keeps the real train2017 (118,287 images) within seconds and a gigabyte.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from pose import records
from pose.errors import UserError
from pose.files import as_utf8, read_bytes
from pose.geometry import clip_box
from pose.records import PERSON, Image, Person
from pose.skeleton import NUM_JOINTS


@dataclass(frozen=True)
class AnnotationFile:
    """What is read of an annotation file: its images, its people, and how often other categories stand there.

    Image ids are unique, so are the people's; every person names an image of the file and has 51 keypoint
    numbers or none.
    """

    images: list[Image]
    annotations: list[Person]
    others: Mapping[int, int]
    """Category id -> number of records."""


def read_annotations(path: Path) -> AnnotationFile:
    """Return the annotation file at `path`; UserError names what is wrong and where.

    Only people are looked at: what records of other categories lack or share does not matter.
    """
    data = read_bytes(path, records.EXPECTED)
    try:
        return held_together(*_decoded(data))
    except msgspec.DecodeError as error:
        what = f"{path} is no COCO annotation file: {error}"
    except UserError as error:
        what = f"{path}: {error}"
    raise UserError(f"{what}; run 'twinpose data check' to see every problem")


def _decoded(data: bytes) -> tuple[records.StrictFile, Mapping[int, int]]:
    """Return the records, and how often each category stands among all; msgspec.DecodeError says why not."""
    try:
        file = msgspec.json.decode(as_utf8(data), type=records.StrictFile)
        return file, Counter(person.category_id for person in file.annotations)
    except (msgspec.DecodeError, UnicodeDecodeError):
        loose = records.loosely(data)
    if isinstance(loose, records.Malformed):
        raise msgspec.DecodeError(f"{loose.where}: {loose.what}")
    return records.strictly(loose), Counter(row.category_id for row in loose.annotations)


def held_together(file: records.StrictFile, categories: Mapping[int, int]) -> AnnotationFile:
    """Return the people of the records and their images; UserError where they contradict each other."""
    people = [person for person in file.annotations if person.category_id == PERSON]
    others = {category: count for category, count in categories.items() if category != PERSON}
    read = AnnotationFile(file.images, people, others)
    for what in _contradictions(read):
        raise UserError(what)
    return read


def _contradictions(file: AnnotationFile) -> Iterator[str]:
    """Yield what in the file cannot be used, though every record by itself can be read."""
    images = Counter(image.id for image in file.images)
    if len(images) < len(file.images):
        yield f"image id twice: {images.most_common(1)[0][0]}"
    people = Counter(person.id for person in file.annotations)
    if len(people) < len(file.annotations):
        yield f"annotation id twice: {people.most_common(1)[0][0]}"
    for person in file.annotations:
        if person.image_id not in images:
            yield f"annotation {person.id} names image {person.image_id}, which the file does not list"
        if len(person.keypoints) not in (0, 3 * NUM_JOINTS):
            given = f"{len(person.keypoints)} keypoint numbers; expected {3 * NUM_JOINTS}"
            yield f"annotation {person.id} has {given}"
        if not all(map(math.isfinite, (person.area, *person.bbox, *person.keypoints))):
            yield f"annotation {person.id} holds a number that is not finite"


def unused(person: Person) -> str | None:
    """Return why a person is no instance whatever its image, None for one that may be."""
    if person.iscrowd:
        return "a crowd"
    if person.area <= 0:
        return "without area"
    if not any(person.keypoints) or not any(v > 0 for v in person.keypoints[2::3]):
        return "without a labelled joint"
    return None


def usable_box(person: Person, image: Image) -> np.ndarray | None:
    """Return a person's box (x, y, w, h) clipped to its image, None when nothing is left of it."""
    return clip_box(np.array(person.bbox), image.width, image.height)


def why_nobody(file: AnnotationFile) -> str | None:
    """Return why no person of an annotation file can be used, None where one can."""
    if not file.annotations:
        there = ", ".join(map(str, sorted(file.others))) or "no annotation at all"
        return f"no annotation has category_id {PERSON}, the person (there are: {there})"
    images = {image.id: image for image in file.images}
    reasons: Counter[str] = Counter()
    for person in file.annotations:
        reason = unused(person)
        if reason is None and usable_box(person, images[person.image_id]) is not None:
            return None
        reasons[reason or "with nothing of the box inside the image"] += 1
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return f"of {len(file.annotations)} people none can be used: {counts}"
