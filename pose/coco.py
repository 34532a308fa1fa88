"""Reads COCO keypoint annotations, in the official layout or a recipe's own, and detection files.

    DIR/annotations/person_keypoints_{train,val}2017.json
    DIR/{train,val}2017/000000000000.jpg

A file itself is read by `pose.annotation_file`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pose import records
from pose.annotation_file import read_annotations as read_annotations
from pose.annotation_file import unused, usable_box
from pose.errors import UserError
from pose.files import read_json
from pose.images import is_turned
from pose.images import read_image as read_image
from pose.records import PERSON, Id, Image, Person
from pose.skeleton import NUM_JOINTS

SOURCES = ("train2017", "val2017")


@dataclass(frozen=True)
class SourceFiles:
    """An annotation file and the folder of its images, below the dataset's folder or absolute."""

    annotations: str
    images: str


Layout = Mapping[str, SourceFiles]
"""By the name of a source."""

OFFICIAL: Layout = {name: SourceFiles(f"annotations/person_keypoints_{name}.json", name) for name in SOURCES}


class Detection(msgspec.Struct, frozen=True, gc=False):
    """One row of a detection file in COCO results format."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True, eq=False)
class Dataset:
    """The usable person instances of some images.

    N instances: ann_ids (N,), image_ids (N,), boxes (N, 4) clipped (x, y, w, h) in image
    pixels, keypoints_image (N, K, 2), labelled (N, K) bool, box_scores (N,).
    """

    root: Path
    images: dict[int, tuple[str, Image]]
    """Image id -> (folder, record)."""
    ann_ids: np.ndarray
    image_ids: np.ndarray
    boxes: np.ndarray
    keypoints_image: np.ndarray
    labelled: np.ndarray
    box_scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.ann_ids)

    def image_path(self, image_id: int) -> Path:
        """Return where the JPEG of `image_id` lies."""
        folder, image = self.images[image_id]
        return self.root / folder / image.file_name

    def record(self, index: int) -> Image:
        """Return the image record of instance `index`."""
        return self.images[int(self.image_ids[index])][1]

    def read(self, index: int) -> np.ndarray:
        """Return the image (H, W, 3) uint8 RGB of instance `index`; UserError if it cannot be used."""
        pixels = read_image(self.image_path(int(self.image_ids[index])))
        self.require_size(index, pixels.shape[1], pixels.shape[0])
        return pixels

    def require_size(self, index: int, width: int, height: int) -> None:
        """Raise UserError unless the decoded image of instance `index` is as its annotation says."""
        record = self.record(index)
        if (width, height) != (record.width, record.height):
            path = self.image_path(record.id)
            raise UserError(
                f"{path} is {width}x{height}; its annotation says {record.width}x{record.height}"
                f"{turned(path, (width, height), (record.width, record.height))}; run 'twinpose data check'"
            )

    def take(self, indices: np.ndarray, image_ids: Sequence[int]) -> Dataset:
        """Return the instances at `indices`, over the images `image_ids`."""
        return Dataset(
            self.root,
            {i: self.images[i] for i in image_ids},
            self.ann_ids[indices],
            self.image_ids[indices],
            self.boxes[indices],
            self.keypoints_image[indices],
            self.labelled[indices],
            self.box_scores[indices],
        )


def turned(path: Path, stored: tuple[int, int], said: tuple[int, int]) -> str:
    """Return why an image's stored size (width, height) is not the one that is said, where EXIF is why."""
    if stored != said[::-1] or not is_turned(path):
        return ""
    return " as EXIF turns it for display, which COCO does not; turn its pixels and drop the EXIF tag"


def annotation_path(root: Path, source: str, layout: Layout = OFFICIAL) -> Path:
    """Return the path of the person keypoint annotations of `source` (train2017 or val2017)."""
    return Path(root) / layout[source].annotations


def load(root: Path, source: str, layout: Layout = OFFICIAL) -> Dataset:
    """Return the usable instances of one annotation file, in order of image id, then annotation id.

    Skipped: crowds, area <= 0, no labelled joint, nothing left of the box in the image
    (Xiao et al. 2018, code, lib/dataset/coco.py). Visibilities above 0 count as labelled.
    Raises UserError for a missing or malformed file, an unknown image id, an id given twice,
    non-finite numbers. A file that has not changed is read once in a process.
    """
    path = annotation_path(root, source, layout)
    stamp = path.stat() if path.is_file() else None
    key = (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino) if stamp else None
    return _load(Path(root), layout[source], key)


@lru_cache(maxsize=4)
def _load(root: Path, files: SourceFiles, _stamp: tuple[int, int, int] | None) -> Dataset:
    file = read_annotations(root / files.annotations)
    images = {image.id: (files.images, image) for image in sorted(file.images, key=lambda image: image.id)}
    kept: list[Person] = []
    boxes: list[np.ndarray] = []
    for person in sorted(file.annotations, key=lambda p: (p.image_id, p.id)):
        box = None if unused(person) else usable_box(person, images[person.image_id][1])
        if box is not None:
            kept.append(person)
            boxes.append(box)
    keypoints = np.array([p.keypoints for p in kept], np.float64).reshape(-1, NUM_JOINTS, 3)
    return Dataset(
        root=root,
        images=images,
        ann_ids=np.array([p.id for p in kept], np.int64),
        image_ids=np.array([p.image_id for p in kept], np.int64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        keypoints_image=keypoints[..., :2],
        labelled=keypoints[..., 2] > 0,
        box_scores=np.ones(len(kept)),
    )


def merge(parts: Sequence[Dataset]) -> Dataset:
    """Return the instances of several annotation files as one, in order of image id, then annotation id.

    Raises UserError when image or annotation ids clash: a split names instances by them.
    """
    if len(parts) == 1:
        return parts[0]
    images: dict[int, tuple[str, Image]] = {}
    for part in parts:
        clash = images.keys() & part.images.keys()
        if clash:
            raise UserError(f"image {min(clash)} stands in two annotation files; expected ids that differ")
        images |= part.images
    names = ("ann_ids", "image_ids", "boxes", "keypoints_image", "labelled", "box_scores")
    joined = Dataset(
        parts[0].root, images, *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )
    ids, counts = np.unique(joined.ann_ids, return_counts=True)
    if (counts > 1).any():
        first = ids[counts > 1][0]
        raise UserError(f"annotation {first} stands in two annotation files; expected ids that differ")
    return joined.take(np.lexsort((joined.ann_ids, joined.image_ids)), sorted(images))


def with_detections(dataset: Dataset, path: Path) -> Dataset:
    """Return instances whose boxes come from a detection file (COCO results format) for the dataset's images.

    Detections of other images or categories are left out. `ann_ids` then count the file's
    rows from 1; no joint is labelled. Raises UserError for a malformed file or no box left.
    """
    try:
        rows = records.rows_as(read_json(path, "detections in COCO results format"), Detection)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path}: {error}; expected a list of {{image_id, category_id, bbox: [x, y, w, h], score}}"
        ) from error
    here = [(i, d) for i, d in enumerate(rows, 1) if d.image_id in dataset.images]
    kept = [(i, d) for i, d in here if d.category_id == PERSON]
    if not kept:
        raise UserError(f"{path} has {_no_box(rows, here)}; expected the detector's output for them")
    for i, d in kept:
        if d.bbox[2] <= 0 or d.bbox[3] <= 0:
            raise UserError(
                f"{path}: row {i} has a box of {d.bbox[2]}x{d.bbox[3]}; expected positive width and height"
            )
        if max(d.bbox[2:]) <= 1:
            raise UserError(
                f"{path}: row {i} has a box of {d.bbox[2]}x{d.bbox[3]}, no larger than a pixel; expected "
                "pixels (boxes from 0 to 1 are to be multiplied by the image's width and height)"
            )
    return Dataset(
        dataset.root,
        dataset.images,
        ann_ids=np.array([i for i, _ in kept], np.int64),
        image_ids=np.array([d.image_id for _, d in kept], np.int64),
        boxes=np.array([d.bbox for _, d in kept], np.float64),
        keypoints_image=np.zeros((len(kept), NUM_JOINTS, 2)),
        labelled=np.zeros((len(kept), NUM_JOINTS), bool),
        box_scores=np.array([d.score for _, d in kept]),
    )


def _no_box(rows: list[Detection], here: list[tuple[int, Detection]]) -> str:
    if not here:
        return f"no person box for this split's images ({len(rows)} rows, all of other images)"
    there = ", ".join(map(str, sorted({d.category_id for _, d in here})))
    return (
        f"no person box for this split's images: of {len(here)} boxes none has category_id {PERSON}, "
        f"the person (there are: {there})"
    )


def ground_truth(
    root: Path, sources: Sequence[str], image_ids: Sequence[int], layout: Layout = OFFICIAL
) -> dict[str, Any]:
    """Return COCO ground truth of `image_ids`: every person, crowds too, without segmentations."""
    wanted = set(image_ids)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for source in sources:
        file = read_annotations(annotation_path(root, source, layout))
        images += [msgspec.to_builtins(i) for i in file.images if i.id in wanted]
        annotations += [_truth(p) for p in file.annotations if p.image_id in wanted]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": PERSON, "name": "person", "supercategory": "person"}],
    }


def _truth(person: Person) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(person)
    row["bbox"] = list(person.bbox)
    row["keypoints"] = person.keypoints or [0.0] * (3 * NUM_JOINTS)
    if person.num_keypoints is None:
        row["num_keypoints"] = sum(v > 0 for v in row["keypoints"][2::3])
    return row
