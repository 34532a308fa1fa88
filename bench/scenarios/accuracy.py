"""The scenario that scores a cell: AP over the validation part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.scenarios.base import RoundJob
from bench.statistics.validity import Validity
from pose import bootstrap, evaluate, inference, splits
from pose.files import write_arrays


def accuracy(job: RoundJob) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score the whole validation part by the recipe's own test protocol, in batches of the cell's size.

    Which predictions are right is kept as raw samples: differences of AP are resampled from it.
    """
    truth = splits.ground_truth(job.manifest, job.coco, "val")
    runner = job.runner()
    first = job.images(1)[0]
    with job.phases("first"):
        runner.infer(first)
    with job.phases("measured"):
        rows = inference.predict(in_batches(runner.infer, job.spec.batch), job.inputs)
    counts = {"instances": len(job.inputs), "images": len(truth["images"])}
    scored = {**evaluate.score(rows, truth), **counts}
    write_arrays(Path(job.payload["samples"]), bootstrap.match(rows, truth).to_arrays())
    validity = msgspec.to_builtins(Validity())
    found = {"count": len(job.inputs), "value": scored["AP"], "stats": scored, "validity": validity}
    return found, runner.effective()


def in_batches(infer: inference.Infer, size: int) -> inference.Infer:
    """Return `infer` for any number of images, called with `size` of them, black ones in the last call.

    A batch of another size would be compiled for anew, and some graphs know one size alone.
    """

    def whole(images: np.ndarray) -> np.ndarray:
        padded = np.pad(images, ((0, -len(images) % size), (0, 0), (0, 0), (0, 0)))
        # A runtime may hand out the same buffer again.
        parts = [np.array(infer(padded[start : start + size])) for start in range(0, len(padded), size)]
        return np.concatenate(parts)[: len(images)]

    return whole
