"""The scenario that scores a cell: AP over the validation part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.contract import Runner
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
        rows = inference.predict(lambda images: in_whole_batches(runner, job.spec.batch, images), job.inputs)
    counts = {"instances": len(job.inputs), "images": len(truth["images"])}
    scored = {**evaluate.score(rows, truth), **counts}
    write_arrays(Path(job.payload["samples"]), bootstrap.match(rows, truth).to_arrays())
    validity = msgspec.to_builtins(Validity())
    found = {"count": len(job.inputs), "value": scored["AP"], "stats": scored, "validity": validity}
    return found, runner.effective()


def in_whole_batches(runner: Runner, batch: int, images: np.ndarray) -> np.ndarray:
    """Return heatmaps (n, K, h, w) of n <= batch images; black ones fill the batch up.

    A compiled graph would be compiled again for a last batch of another size.
    """
    missing = ((0, batch - len(images)), (0, 0), (0, 0), (0, 0))
    return runner.infer(np.pad(images, missing))[: len(images)]
