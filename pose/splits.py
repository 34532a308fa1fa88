"""Split manifests: checksummed lists of ids that both twins read and every result carries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
import numpy as np

from pose import annotation_file, coco, recipe
from pose.augment import order
from pose.errors import UserError
from pose.files import read_json, sha256_of_bytes, sha256_of_file, write_json
from pose.records import Person

PARTS = ("train", "val", "test")
SOURCES = {"train": "train2017", "val": "val2017", "test": "test"}
"""Part -> the annotation file that it is in the official split; only a recipe's own files hold tests."""


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
    files: dict[str, coco.SourceFiles] = field(default_factory=dict)
    """Where the sources lie that are not in the official layout."""

    @property
    def layout(self) -> coco.Layout:
        """Return where every source lies."""
        return {**coco.OFFICIAL, **self.files}

    def at_hand(self, wanted: str) -> str:
        """Return the name of the part `wanted` or, in a split of one part alone, of that."""
        return next(name for name in (wanted, *PARTS) if self.parts.get(name))

    def sources_of(self, name: str) -> list[str]:
        """Return the sources whose images part `name` may hold."""
        return _sources_of(self.method, self.sources, name)

    def content(self) -> dict[str, Any]:
        """Return the manifest as JSON-able values; `files` only where there are any."""
        values = asdict(self)
        return values if self.files else {k: v for k, v in values.items() if k != "files"}

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the manifest's content."""
        return sha256_of_bytes(json.dumps(self.content(), sort_keys=True).encode())

    def part(self, name: str) -> Part:
        """Return the part called `name`; UserError when the split has none."""
        found = self.parts.get(name)
        if found is None:
            raise _no_part(self.method, name, [p for p in PARTS if self.parts.get(p)])
        return found


class ManifestFile(TypedDict):
    """A split manifest on disk."""

    schema: Literal[1]
    method: str
    seed: int | None
    sources: dict[str, str]
    """Annotation file (train2017, val2017) -> its SHA-256."""
    parts: dict[str, Part | None]
    files: NotRequired[dict[str, coco.SourceFiles]]
    """Where the sources lie that are not in the official layout."""
    sha256: str
    """Of all the rest but `schema`."""


def _no_part(method: str, name: str, there: Sequence[str]) -> UserError:
    return UserError(f"the '{method}' split has no part '{name}'; it has: {', '.join(there)}")


def of(wanted: recipe.Recipe, root: Path, only: str | None = None) -> Manifest:
    """Return the manifest of a recipe's split over its files in the folder `root`; see `make`."""
    return make(wanted.split, root, layout(wanted.data), only)


def of_what_is_there(wanted: recipe.Recipe, root: Path) -> Manifest:
    """Return the manifest of a recipe's split; where one part's annotation file alone is there, of it."""
    places, there = layout(wanted.data), []
    for name, source in SOURCES.items():
        if source in places and coco.annotation_path(root, source, places).is_file():
            there.append(name)
    alone = wanted.split.method == "official" and len(there) == 1
    return of(wanted, root, there[0] if alone else None)


def layout(data: recipe.Data) -> coco.Layout:
    """Return where the recipe's annotation files and images lie, by source."""
    own = data.files.model_dump(exclude_none=True) if data.files else {}
    return {**coco.OFFICIAL, **{SOURCES[name]: coco.SourceFiles(**files) for name, files in own.items()}}


def make(
    split: recipe.Split, root: Path, layout: coco.Layout = coco.OFFICIAL, only: str | None = None
) -> Manifest:
    """Return the manifest of `split` over the COCO folder `root`.

    `official`: train2017 trains, val2017 validates. `fractions`: the images of the sources
    are shuffled by the split's seed and divided. With `only` no other part's files are needed, and where
    they are its own no other part is in the manifest. Raises UserError when a part would be empty.
    """
    if split.method == "official":
        there = {name: source for name, source in SOURCES.items() if source in layout}
        if only is not None and only not in there:
            raise _no_part(split.method, only, list(there))
        names = [only] if only else list(there)
        loaded = {name: coco.load(root, there[name], layout) for name in names}
        parts = {name: _part(loaded[name]) if name in loaded else None for name in PARTS}
        sources, seed = [there[name] for name in names], None
    else:
        sources, seed = list(split.sources), split.seed
        parts = _divide(split, coco.merge([coco.load(root, source, layout) for source in sources]))
    for name, part in parts.items():
        if part is not None and not part.annotation_ids:
            raise UserError(
                f"the split's part '{name}' has no usable person ({len(part.image_ids)} images in {root}); "
                + _why_empty(root, _sources_of(split.method, sources, name), layout)
            )
    checksums = {source: sha256_of_file(coco.annotation_path(root, source, layout)) for source in sources}
    files = {source: layout[source] for source in sources if layout[source] != coco.OFFICIAL.get(source)}
    manifest = Manifest(split.method, seed, checksums, parts, files)
    if only is not None:
        manifest.part(only)
    return manifest


def _sources_of(method: str, sources: Iterable[str], name: str) -> list[str]:
    return [SOURCES[name]] if method == "official" else list(sources)


def _why_empty(root: Path, sources: Sequence[str], layout: coco.Layout) -> str:
    """Return why a part of these sources is empty: of the first whose people are all unusable, its reason."""
    for source in sources:
        path = coco.annotation_path(root, source, layout)
        if reason := annotation_file.why_nobody(annotation_file.read_annotations(path)):
            return f"{path}: {reason}"
    return "expected more images or other fractions"


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
    """Return the instances of part `name`; UserError when an annotation file of it is not the manifest's."""
    part = manifest.part(name)
    needed = manifest.sources_of(name)
    require_sources(manifest, root, needed)
    dataset = coco.merge([coco.load(root, source, manifest.layout) for source in needed])
    missing = set(part.image_ids) - dataset.images.keys()
    if missing:
        raise UserError(
            f"the split's image {min(missing)} is not in {root}; make a new split with 'twinpose data split'"
        )
    indices = np.flatnonzero(np.isin(dataset.ann_ids, part.annotation_ids))
    return dataset.take(indices, part.image_ids)


def require_sources(manifest: Manifest, root: Path, sources: Sequence[str] | None = None) -> None:
    """Raise UserError where an annotation file, of all `sources`, is not the one of the manifest."""
    for source in manifest.sources if sources is None else sources:
        path = coco.annotation_path(root, source, manifest.layout)
        if not path.is_file():
            raise UserError(
                f"cannot read {path}: No such file or directory; where the data set was moved, "
                "give its folder with --coco DIR"
            )
        if sha256_of_file(path) != manifest.sources[source]:
            raise UserError(
                f"{path} is not the file that the split was made from (SHA-256 differs); "
                "restore it, or make a new split with 'twinpose data split'"
            )


def people(manifest: Manifest, root: Path, name: str) -> dict[int, Person]:
    """Return by id the raw annotations, used or not, of the people in the files of part `name`."""
    paths = [coco.annotation_path(root, s, manifest.layout) for s in manifest.sources_of(name)]
    return {
        person.id: person for path in paths for person in annotation_file.read_annotations(path).annotations
    }


def ground_truth(manifest: Manifest, root: Path, name: str) -> dict[str, Any]:
    """Return the COCO ground truth of part `name`: what a score is computed against."""
    part = manifest.part(name)
    return coco.ground_truth(root, manifest.sources_of(name), part.image_ids, manifest.layout)


def save(manifest: Manifest, path: Path) -> None:
    """Write the manifest with its checksum to `path`."""
    write_json(path, {"schema": 1, **manifest.content(), "sha256": manifest.sha256}, indent=None)


def read(path: Path) -> Manifest:
    """Return the manifest at `path`; UserError when it is malformed or its checksum is wrong."""
    raw = read_json(path, "a split manifest (twinpose data split)")
    try:
        found = msgspec.convert(raw, ManifestFile)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} is no split manifest ({error}); make one with 'twinpose data split'"
        ) from error
    manifest = Manifest(
        found["method"], found["seed"], found["sources"], found["parts"], found.get("files", {})
    )
    if manifest.sha256 != found["sha256"]:
        raise UserError(
            f"{path} was changed after it was made (SHA-256 differs); make another with 'twinpose data split'"
        )
    if manifest.method != "official":  # whose parts are files of their own, and number as they like
        _require_apart(manifest, path)
    return manifest


def _require_apart(manifest: Manifest, path: Path) -> None:
    seen: set[int] = set()
    for part in manifest.parts.values():
        overlap = seen & set(part.image_ids if part else [])
        if overlap:
            raise UserError(
                f"{path}: image {min(overlap)} is in two parts; make a new one with 'twinpose data split'"
            )
        seen |= set(part.image_ids if part else [])
