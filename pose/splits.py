"""Split manifests: checksummed lists of ids that both twins read and every result carries."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose import coco, recipe
from pose.augment import order
from pose.errors import UserError
from pose.files import read_json, sha256_of_bytes, sha256_of_file, write_json

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """Image ids and the usable annotation ids of one part, both ascending by image."""

    image_ids: list[int]
    annotation_ids: list[int]


@dataclass(frozen=True)
class Manifest:
    """Which ids train, validate and test; `test` is None when the method has none."""

    method: str
    seed: int | None
    sources: dict[str, str]
    """Annotation file (train2017, val2017) -> its SHA-256."""
    parts: dict[str, Part | None]

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the manifest's content."""
        return sha256_of_bytes(json.dumps(asdict(self), sort_keys=True).encode())

    def part(self, name: str) -> Part:
        """Return the part called `name`; UserError when the split has none."""
        found = self.parts.get(name)
        if found is None:
            has = ", ".join(p for p in PARTS if self.parts.get(p))
            raise UserError(f"the '{self.method}' split has no part '{name}'; it has: {has}")
        return found


def make(split: recipe.Split, root: Path) -> Manifest:
    """Return the manifest of `split` over the COCO folder `root`.

    `official`: train2017 trains, val2017 validates. `fractions`: the images of the sources
    are shuffled by the split's seed and divided. Raises UserError when a part would be empty.
    """
    if split.method == "official":
        parts: dict[str, Part | None] = {
            "train": _part(coco.load(root, "train2017")),
            "val": _part(coco.load(root, "val2017")),
            "test": None,
        }
        sources, seed = ["train2017", "val2017"], None
    else:
        parts = _divide(split, coco.merge([coco.load(root, source) for source in split.sources]))
        sources, seed = list(split.sources), split.seed
    for name, part in parts.items():
        if part is not None and not part.annotation_ids:
            raise UserError(
                f"the split's part '{name}' has no usable person ({len(part.image_ids)} images in {root}); "
                "expected more images or other fractions"
            )
    checksums = {source: sha256_of_file(coco.annotation_path(root, source)) for source in sources}
    return Manifest(split.method, seed, checksums, parts)


def _part(dataset: coco.Dataset) -> Part:
    return Part(sorted(dataset.images), dataset.ann_ids.tolist())


def _divide(split: recipe.Split, dataset: coco.Dataset) -> dict[str, Part | None]:
    ids = np.array(sorted(dataset.images), np.int64)
    shuffled = ids[order(split.seed, 0, len(ids))]
    first = round(split.fractions[0] * len(ids))
    second = round((split.fractions[0] + split.fractions[1]) * len(ids))
    pieces = np.split(shuffled, [first, second])
    parts: dict[str, Part | None] = {}
    for name, fraction, piece in zip(PARTS, split.fractions, pieces, strict=True):
        inside = np.isin(dataset.image_ids, piece)
        parts[name] = Part(sorted(piece.tolist()), dataset.ann_ids[inside].tolist()) if fraction else None
    return parts


def select(manifest: Manifest, root: Path, name: str) -> coco.Dataset:
    """Return the instances of part `name`; UserError when an annotation file is not the manifest's."""
    part = manifest.part(name)
    for source, checksum in manifest.sources.items():
        path = coco.annotation_path(root, source)
        if sha256_of_file(path) != checksum:
            raise UserError(
                f"{path} is not the file that the split was made from (SHA-256 differs); "
                "restore it, or make a new split with 'twinpose data split'"
            )
    needed = _sources_of(manifest, name)
    dataset = coco.merge([coco.load(root, source) for source in needed])
    missing = set(part.image_ids) - dataset.images.keys()
    if missing:
        raise UserError(
            f"the split's image {min(missing)} is not in {root}; make a new split with 'twinpose data split'"
        )
    indices = np.flatnonzero(np.isin(dataset.ann_ids, part.annotation_ids))
    return dataset.take(indices, part.image_ids)


def _sources_of(manifest: Manifest, name: str) -> list[str]:
    if manifest.method == "official":
        return [{"train": "train2017", "val": "val2017"}[name]]
    return list(manifest.sources)


def ground_truth(manifest: Manifest, root: Path, name: str) -> dict[str, Any]:
    """Return the COCO ground truth of part `name`: what a score is computed against."""
    return coco.ground_truth(root, _sources_of(manifest, name), manifest.part(name).image_ids)


def save(manifest: Manifest, path: Path) -> None:
    """Write the manifest with its checksum to `path`."""
    write_json(path, {"schema": 1, **asdict(manifest), "sha256": manifest.sha256}, indent=None)


def read(path: Path) -> Manifest:
    """Return the manifest at `path`; UserError when it is malformed or its checksum is wrong."""
    raw = read_json(path, "a split manifest (twinpose data split)")
    try:
        parts = {name: Part(**part) if part else None for name, part in raw["parts"].items()}
        manifest = Manifest(raw["method"], raw["seed"], raw["sources"], parts)
        checksum = raw["sha256"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no split manifest ({error!r}); make one with 'twinpose data split'"
        ) from error
    if manifest.sha256 != checksum:
        raise UserError(
            f"{path} was changed after it was made (SHA-256 differs); make another with 'twinpose data split'"
        )
    seen: set[int] = set()
    for part in parts.values():
        overlap = seen & set(part.image_ids if part else [])
        if overlap:
            raise UserError(
                f"{path}: image {min(overlap)} is in two parts; make a new one with 'twinpose data split'"
            )
        seen |= set(part.image_ids if part else [])
    return manifest
