"""Counts a COCO folder and names every problem in it: what `twinpose data check` prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from pose import annotation_file, records
from pose.annotation_problems import Problem, file_problems, finite, repeated_ids
from pose.coco import OFFICIAL, Layout, annotation_path
from pose.errors import UserError
from pose.picture_problems import picture_problems
from pose.progress import OnProgress
from pose.records import PERSON, LooseFile, LooseImage, LoosePerson, is_id
from pose.skeleton import NUM_JOINTS


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
        problems += file_problems(source, file)
    problems += repeated_ids(readable, joined)
    problems += picture_problems(root, layout, readable, on_progress, threads)
    counts = {source: _count(file) for source, file in readable.items()}
    return CheckedFolder(root, counts, tuple(problems), tuple(paths.keys() - present.keys()))


def _count(file: LooseFile) -> Counts:
    images = {image.id: image for image in file.images if is_id(image.id)}
    people = [p for p in file.annotations if p.category_id == PERSON]
    joints = Counter(
        "unlabelled" if v <= 0 else "hidden" if v == 1 else "visible"
        for p in people
        if finite(p.keypoints, 3 * NUM_JOINTS)
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
    if found is None or not finite(row.keypoints, 3 * NUM_JOINTS) or not finite([row.area], 1):
        return False
    try:
        person, image = records.strict(row, records.Person), records.strict(found, records.Image)
    except msgspec.ValidationError:
        return False
    return not annotation_file.unused(person) and annotation_file.usable_box(person, image) is not None
