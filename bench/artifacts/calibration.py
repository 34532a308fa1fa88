"""The calibration set: the inputs that every quantiser of a twin measures ranges of activations on."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import Emit
from bench.process import launch
from bench.process.worker import resolve
from pose import inference, recipe, splits
from pose.errors import Unsupported
from pose.files import sha256_of_bytes, write_json

IMAGES = 300
"""How many: NNCF's own default."""
SEED = 0
PART = "train"

MANIFEST = "calibration.json"
"""Which inputs, beside the artifacts that were quantised on them."""


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Unaugmented inputs of the training part, and which they are."""

    images: np.ndarray
    """(n, H, W, 3) uint8."""
    annotation_ids: tuple[int, ...]
    """Of the people in them."""

    def facts(self) -> dict[str, Any]:
        """Return what the record of a quantised artifact says of it."""
        return {
            "part": PART,
            "inputs": len(self.images),
            "seed": SEED,
            "annotation_ids_sha256": sha256_of_bytes(json.dumps(list(self.annotation_ids)).encode()),
        }


def choose(
    resolved: recipe.Recipe, coco: Path, manifest: splits.Manifest, out: Path | None = None
) -> CalibrationSet:
    """Return a seeded choice of the training part, and write which they are to `out`/calibration.json.

    Raises Unsupported for a split without a training part.
    """
    if manifest.parts.get(PART) is None:
        raise Unsupported("int8 is calibrated on images of the training part, which the split has not")
    inputs = inference.Inputs(resolved, coco, manifest, PART)
    count = min(IMAGES, len(inputs))
    chosen = np.sort(np.random.default_rng(SEED).choice(len(inputs), count, replace=False))
    ids = tuple(int(one) for one in inputs.dataset.ann_ids[chosen])
    found = CalibrationSet(inputs.crops(inputs.dataset, inputs.recipe, chosen.tolist()), ids)
    if out is not None:
        record = found.facts() | {"split_sha256": manifest.sha256, "annotation_ids": list(ids)}
        write_json(out / MANIFEST, record, indent=None)
    return found


def quantise_apart(quantiser: str, source: Path, images: np.ndarray, out: Path) -> dict[str, Any]:
    """Return what `quantiser` ("module:function") does in a process of its own.

    It is called with the file `source`, the calibration images (n, H, W, 3) uint8 and the file to write.
    Raises what became of the process as `launch.value_of` does.
    """
    folder = out.parent / f"{out.name}-child"
    folder.mkdir(exist_ok=True)
    np.save(folder / "images.npy", images)
    payload = {
        "quantiser": quantiser,
        "source": source.resolve(),
        "images": (folder / "images.npy").resolve(),
        "out": out.resolve(),
    }
    made = launch.value_of(launch.call("bench.artifacts.calibration:quantise", payload, folder))
    shutil.rmtree(folder)
    return made


def quantise(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Call the payload's quantiser (in the child)."""
    source, images, out = (Path(payload[name]) for name in ("source", "images", "out"))
    made: dict[str, Any] = resolve(payload["quantiser"])(source, np.load(images), out)
    return made
