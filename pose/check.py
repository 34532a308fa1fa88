"""Counts a COCO folder and names every problem in it: what `twinpose data check` prints.

Coordinates are in COCO's frame, in which an image of width W spans 0 to W: a joint or a box that
touches either border is inside. Boxes are rounded in the official files, so that one may reach
`BOX_TOLERANCE_PX` further; the loader clips it.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from pose import annotation_file, records
from pose.coco import OFFICIAL, Layout, annotation_path, turned
from pose.errors import UserError
from pose.images import decoders_words, read_image
from pose.records import PERSON, LooseFile, LooseImage, LoosePerson, is_id
from pose.skeleton import NUM_JOINTS

BOX_TOLERANCE_PX = 1.0
TOGETHER = 64
"""Images that are decoded between two looks at what the decoders said."""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its kind, the file or record, and what was found and expected."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True)
class Counts:
    """How much one annotation file holds.

    visibility: people's joints that are unlabelled (0 and below), hidden (1), visible (all else).
    """

    images: int
    annotations: int
    people: int
    crowds: int
    used: int
    visibility: tuple[int, int, int]


@dataclass(frozen=True)
class CheckedFolder:
    """What a COCO folder holds, by source, and everything that is wrong with it."""

    root: Path
    counts: dict[str, Counts]
    problems: tuple[Problem, ...]
    absent: tuple[str, ...] = ()
    """Sources without an annotation file: what needs them alone cannot be done."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {
            "coco": str(self.root),
            "counts": {source: asdict(counts) for source, counts in self.counts.items()},
            "absent": list(self.absent),
            "problems": [asdict(problem) for problem in self.problems],
        }

    def text(self) -> str:
        """Return the report as lines for a terminal: counts by source, then every problem."""
        lines = [
            f"{source}: {c.images} images, {c.annotations} annotations "
            f"({c.people} people, {c.crowds} crowds), {c.used} used; joints "
            "unlabelled {}, hidden {}, visible {}".format(*c.visibility)
            for source, c in self.counts.items()
        ]
        lines += [f"{source}: no annotation file" for source in self.absent]
        lines += [f"{problem.kind}: {problem.where}: {problem.what}" for problem in self.problems]
        return "\n".join([*lines, f"{len(self.problems)} problems" if self.problems else "no problem"])


def check(
    root: Path,
    layout: Layout = OFFICIAL,
    *,
    joined: bool = False,
    on_progress: OnProgress | None = None,
    threads: int | None = None,
) -> CheckedFolder:
    """Return the counts and every problem of the COCO folder `root`; every picture is decoded.

    joined: one split is drawn from all the files, so that no id may stand in two of them.
    on_progress(done, total) counts images. Raises UserError when `root` has none of the annotation files.
    """
    root = Path(root)
    paths = {source: annotation_path(root, source, layout) for source in layout}
    present = {source: path for source, path in paths.items() if path.is_file()}
    if not present:
        names = " or ".join(files.annotations for files in layout.values())
        folders = " and ".join(f"{files.images}/" for files in layout.values())
        raise UserError(f"{root} is no COCO folder; expected {names} in it, and the images in {folders}")
    read = {source: records.read(path) for source, path in present.items()}
    problems = [
        Problem("malformed annotation file", f"{present[source]}, {file.where}", file.what)
        for source, file in read.items()
        if isinstance(file, records.Malformed)
    ]
    readable = {source: file for source, file in read.items() if isinstance(file, LooseFile)}
    for source, file in readable.items():
        problems += _file_problems(source, file)
    problems += _repeated_ids(readable, joined)
    problems += _picture_problems(root, layout, readable, on_progress, threads)
    counts = {source: _count(file) for source, file in readable.items()}
    return CheckedFolder(root, counts, tuple(problems), tuple(paths.keys() - present.keys()))


def _file_problems(source: str, file: LooseFile) -> Iterator[Problem]:
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


def _repeated_ids(files: dict[str, LooseFile], joined: bool) -> Iterator[Problem]:
    """Ids that stand more than once in one annotation file or, where the files are joined, in all."""
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


def _finite(values: Any, length: int) -> bool:
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
    size = _size(image) if image else None
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


def _size(image: LooseImage) -> tuple[int, int] | None:
    sides = (image.width, image.height)
    return sides if all(is_id(side) and side > 0 for side in sides) else None


def _box_problems(box: Any, size: tuple[int, int] | None, where: str) -> Iterator[Problem]:
    if not _numbers(box, 4):
        yield Problem("malformed annotation", where, f"bbox {box!r}; expected [x, y, width, height]")
    elif not _finite(box, 4):
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


def _count(file: LooseFile) -> Counts:
    images = {image.id: image for image in file.images if is_id(image.id)}
    people = [p for p in file.annotations if p.category_id == PERSON]
    joints = Counter(
        "unlabelled" if v <= 0 else "hidden" if v == 1 else "visible"
        for p in people
        if _finite(p.keypoints, 3 * NUM_JOINTS)
        for v in p.keypoints[2::3]
    )
    return Counts(
        images=len(file.images),
        annotations=len(file.annotations),
        people=len(people),
        crowds=sum(p.iscrowd == 1 for p in people),
        used=sum(_used(p, images) for p in people),
        visibility=(joints["unlabelled"], joints["hidden"], joints["visible"]),
    )


def _used(row: LoosePerson, images: dict[int, LooseImage]) -> bool:
    """Whether `pose.coco.load` would keep the annotation."""
    found = images.get(row.image_id) if is_id(row.image_id) else None
    if found is None or not _finite(row.keypoints, 3 * NUM_JOINTS) or not _finite([row.area], 1):
        return False
    try:
        person, image = records.strict(row, records.Person), records.strict(found, records.Image)
    except msgspec.ValidationError:
        return False
    return not annotation_file.unused(person) and annotation_file.usable_box(person, image) is not None


def _picture_problems(
    root: Path,
    layout: Layout,
    files: dict[str, LooseFile],
    on_progress: OnProgress | None,
    threads: int | None,
) -> list[Problem]:
    """Problems of every listed image; OpenCV decodes outside the interpreter's lock, so threads help."""
    jobs = [
        (root / layout[source].images, source, image)
        for source, file in files.items()
        for image in file.images
    ]
    found: list[Problem] = []
    with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(jobs), TOGETHER):
            some = jobs[start : start + TOGETHER]
            with decoders_words() as said:
                problems = list(pool.map(lambda job: _picture_problem(*job), some))
            if said:  # of which image, only one at a time can tell
                problems = [_mended(job, problem) for job, problem in zip(some, problems, strict=True)]
            found += filter(None, problems)
            if on_progress:
                for done in range(start, start + len(some)):
                    on_progress(done + 1, len(jobs))
    return found


def _mended(job: tuple[Path, str, LooseImage], problem: Problem | None) -> Problem | None:
    """Return what is wrong with an image, be it only that its decoder complains."""
    if problem:
        return problem
    folder, source, image = job
    path = folder / str(image.file_name)
    with decoders_words() as said:
        read_image(path)
    return Problem("damaged image", f"{source} image {image.id}", f"{path}: {said[0]}") if said else None


def _picture_problem(folder: Path, source: str, image: LooseImage) -> Problem | None:
    where = f"{source} image {image.id}"
    if not isinstance(image.file_name, str) or not image.file_name or not _size(image):
        given = f"file_name {image.file_name!r}, width {image.width!r}, height {image.height!r}"
        return Problem("malformed image", where, f"{given}; expected a name and two positive integers")
    path = folder / image.file_name
    if not path.is_file():
        return Problem("missing image", where, f"no file {path}")
    try:
        height, width = read_image(path).shape[:2]
    except UserError as error:
        return Problem("unreadable image", where, str(error))
    if (width, height) != _size(image):
        return Problem(
            "wrong size",
            where,
            f"{path} is {width}x{height}; recorded as {image.width}x{image.height}"
            f"{turned(path, (width, height), _size(image) or (0, 0))}",
        )
    return None
