"""Rung 1: both loaders give the same bits in the same order, and `pose.sample` is the published recipe."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import TWINS
from bench.contract import Emit
from bench.parity.certificate import Check
from bench.parity.rungs import samples
from bench.parity.rungs.base import Context, none_of
from bench.process.worker import resolve
from pose import recipe, splits

WORKERS = (0, 1, 2)
EPOCH = 1
ARRAYS = {"shared": ("images", "heatmaps", "weights"), "native": ("heatmaps", "weights")}
"""What of a batch is compared, by pipeline: native pixels are each framework's own."""
DIGEST_BYTES = 16
REFERENCE = ("torch", 0)
"""The loader that the others are compared with: samples made one after another, in one process."""

SAME_BITS = "one definition of a sample, keyed by (seed, epoch, annotation): no bit may depend on a loader"
COMPLETE = "an epoch is every instance of the training part, once"


@dataclass(frozen=True, eq=False)
class Loaded:
    """What one loader gave in an epoch of N samples."""

    annotation_ids: np.ndarray
    """(N,) int64, in the order they came."""
    digests: np.ndarray
    """(N, A, 16) uint8: BLAKE2b of each of A arrays, data type and shape included."""
    running: str
    """BLAKE2b over ids and digests as they came: equal for equal epochs."""


Epochs = Mapping[tuple[str, int], Loaded]
"""By twin and number of workers."""


def climb(context: Context) -> list[Check]:
    """Return the checks of an augmented epoch of every loader, then those against the transcription."""
    context.say(f"an epoch of either twin's loader with {', '.join(map(str, WORKERS))} workers")
    *both, shared = context.together(
        *(partial(loaded, context, twin) for twin in TWINS), partial(samples.checks, context)
    )
    found: dict[tuple[str, int], Loaded] = {key: epoch for one in both for key, epoch in one.items()}
    manifest = splits.read(context.split)
    part = manifest.part(manifest.at_hand("train"))
    arrays = ARRAYS[context.recipe.data.pipeline]
    return [*between(found, part.annotation_ids, arrays), *shared]


def loaded(context: Context, twin: str, counts: Sequence[int] = WORKERS) -> dict[tuple[str, int], Loaded]:
    """Return what a twin's loader gives for each number of workers in `counts`, from one child."""
    payload = context.request(twin, workers=counts)
    running = context.call(twin, "bench.parity.rungs.data:load", payload)
    found = {}
    for workers in counts:
        with np.load(_path(context.folder, twin, workers)) as stored:
            found[twin, workers] = Loaded(stored["annotation_ids"], stored["digests"], running[str(workers)])
    return found


def load(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write what one twin's loader gives, return the running hash, by number of workers (in the child)."""
    twin, folder = payload["twin"], Path(payload["folder"])
    resolved = recipe.from_dict(payload["recipe"])
    manifest = splits.read(Path(payload["split"]))
    instances = splits.select(manifest, Path(payload["coco"]), manifest.at_hand("train"))
    running = {}
    for workers in payload["workers"]:
        loader = resolve(f"{twin}_impl.data:Loader")(instances, resolved, workers)
        made = digested(loader.batches(EPOCH), ARRAYS[resolved.data.pipeline])
        np.savez(_path(folder, twin, workers), annotation_ids=made.annotation_ids, digests=made.digests)
        running[str(workers)] = made.running
    return running


def _path(folder: Path, twin: str, workers: int) -> Path:
    return folder / f"epoch.{twin}.{workers}.npz"


def digested(batches: Iterable[Any], arrays: Sequence[str]) -> Loaded:
    """Return the ids and the digests of `arrays` of a loader's batches."""
    ids: list[int] = []
    digests: list[bytes] = []
    running = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for batch in batches:
        columns = [np.asarray(getattr(batch, name)) for name in arrays]
        for row, annotation_id in enumerate(np.asarray(batch.annotation_ids).tolist()):
            parts = b"".join(_digest(column[row]) for column in columns)
            running.update(annotation_id.to_bytes(8, "little", signed=True) + parts)
            ids.append(annotation_id)
            digests.append(parts)
    shape = (len(ids), len(arrays), DIGEST_BYTES)
    rows = np.frombuffer(b"".join(digests), np.uint8).reshape(shape)
    return Loaded(np.array(ids, np.int64), rows, running.hexdigest())


def _digest(array: np.ndarray) -> bytes:
    described = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.blake2b(described + array.tobytes(), digest_size=DIGEST_BYTES).digest()


def between(found: Epochs, part_ids: list[int], arrays: Sequence[str]) -> list[Check]:
    """Return the checks that the reference is the whole part and that every other loader gives the same."""
    reference = found[REFERENCE]
    others = [key for key in found if key != REFERENCE]
    return [_complete(reference, part_ids), *(_same(key, found[key], reference, arrays) for key in others)]


def _complete(reference: Loaded, part_ids: list[int]) -> Check:
    given, wanted = Counter(reference.annotation_ids.tolist()), Counter(part_ids)
    wrong = sorted(((given - wanted) + (wanted - given)).elements())
    name = f"{_name(REFERENCE)}: instances missing, doubled or foreign"
    note = f"{len(part_ids)} instances, epoch {EPOCH}, running hash {reference.running}"
    return none_of(name, [f"annotation {one}" for one in wrong], COMPLETE, note)


def _same(key: tuple[str, int], other: Loaded, reference: Loaded, arrays: Sequence[str]) -> Check:
    name = f"{_name(key)}: samples that differ from {_name(REFERENCE)}"
    note = f"running hash {other.running} over {', '.join(arrays)}"
    check = none_of(name, differences(other, reference, arrays), SAME_BITS, note)
    return replace(check, passed=check.passed and other.running == reference.running)


def differences(other: Loaded, reference: Loaded, arrays: Sequence[str]) -> list[str]:
    """Return a line for every place of the epoch where the id or one of `arrays` differs."""
    lines = []
    ids = zip_longest(other.annotation_ids.tolist(), reference.annotation_ids.tolist())
    for place, (found, wanted) in enumerate(ids):
        if found != wanted:
            lines.append(f"sample {place} of the epoch: annotation {found}, not {wanted}")
            continue
        apart = (other.digests[place] != reference.digests[place]).any(axis=1)
        if apart.any():
            named = [name for name, differs in zip(arrays, apart.tolist(), strict=True) if differs]
            lines.append(f"annotation {found} (sample {place} of the epoch): {', '.join(named)}")
    return lines


def _name(key: tuple[str, int]) -> str:
    twin, workers = key
    return f"{twin} with {workers} {'worker' if workers == 1 else 'workers'}"
