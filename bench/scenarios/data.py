"""`data`: samples a second of each twin's own loader, augmented, whose batches nobody computes on."""

from __future__ import annotations

import math
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from bench.process.worker import resolve
from bench.scenarios.base import RoundJob, Summary
from pose import augment, geometry, sample, splits
from pose.coco import Dataset
from pose.recipe import Recipe

BATCHES_OF_A_WORKER = 2
"""In a block, at least. Workers finish together, so that single batches come in bursts."""

SHORT_EPOCH = 4
"""Blocks that an epoch must have to be cut into some; of a shorter one, a block is the whole."""

LIMIT_SHARE = 0.5
"""How long decode and warp alone are measured, of the measured window."""


class DataLoading:
    """A block is a few batches of every worker; epochs follow each other as in training.

    The first block starts the workers and is not measured. The recipe says how samples are augmented and
    which pipeline makes their pixels, the cell how many are in a batch and, by its threads, how many workers
    there are: the run's own number of them is for training, and would make a lane say what is not so.
    """

    def __init__(self, job: RoundJob) -> None:
        self.job, twin, self.workers = job, job.payload["twin"], job.spec.threads
        self.recipe = job.recipe
        self.people = splits.select(job.manifest, job.coco, "train")
        with job.phases("import"):
            setup, make = resolve(f"{twin}_impl.train:setup"), resolve(f"{twin}_impl.data:Loader")
            describe = resolve(f"{twin}_impl.phases:describe")
        with job.phases("load"):
            setup("cpu", self.workers)
            loader = make(self.people, self.recipe, self.workers)
        self.described: dict[str, Any] = describe(loader)
        self.block = batches_of_a_block(len(self.people), job.spec.batch, self.workers)
        # The generator alone holds the loader: closing it ends the workers.
        self.batches = _epochs(loader)
        self.counts: list[int] = []

    def once(self, number: int) -> None:
        """Take one block of batches from the loader."""
        self.counts.append(sum(len(batch.images) for batch in islice(self.batches, self.block)))

    def start(self) -> None:
        """Forget what the warm-up counted; the loader goes on where it is."""
        self.counts = []

    def summarise(self, durations_ns: np.ndarray) -> Summary:
        """Return samples a second, beside decode and warp alone in the same minute; the loader ends here."""
        self.batches.close()
        made = sum(self.counts)
        per_s = made / (float(durations_ns.sum()) / 1e9)
        with self.job.phases("limit"):
            seconds = self.job.protocol["measured_s"] * LIMIT_SHARE
            limit = decode_and_warp_per_s(self.people, self.recipe, self.workers, seconds)
        found = {
            "samples_per_s": per_s,
            "n": made,
            "batch": self.job.spec.batch,
            "decode_and_warp_per_s": limit,
            "ratio_to_decode_and_warp": per_s / limit,
        }
        raw = {"block_ns": durations_ns, "block_samples": np.array(self.counts, np.int64)}
        return Summary(per_s, found, made, raw)

    def effective(self) -> dict[str, Any]:
        """Return how the loader says it works, and what it made."""
        return self.described | {
            "pipeline": self.recipe.data.pipeline,
            "batch": self.job.spec.batch,
            "block_batches": self.block,
            "opencv": cv2.__version__,
            "opencv_threads": cv2.getNumThreads(),
        }


def _epochs(loader: Any) -> Generator[Any, None, None]:
    for epoch in count(1):
        yield from loader.batches(epoch)


def batches_of_a_block(people: int, batch: int, workers: int) -> int:
    """Return how many batches one block takes: some of each worker, or the whole epochs that come next.

    Epochs end in every block or in few of them, so that blocks are alike.
    """
    wanted = BATCHES_OF_A_WORKER * workers
    epoch = math.ceil(people / batch)
    return wanted if epoch >= SHORT_EPOCH * wanted else epoch * math.ceil(wanted / epoch)


def decode_and_warp_per_s(people: Dataset, recipe: Recipe, threads: int, seconds: float) -> float:
    """Return samples a second of reading, decoding and warping alone: what no loader can do without.

    On as many threads as the loader has workers, in the order and with the affines of its first epochs.
    """

    def one(epoch: int, index: int) -> None:
        placed = sample.place(people, index, recipe, epoch=epoch)
        geometry.warp(people.read(index), placed.to_input, recipe.model.input_size)

    done, started = 0, perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for epoch in count(1):
            order = augment.order(recipe.training.seed, epoch, len(people)).tolist()
            for chunk in (order[i : i + 32 * threads] for i in range(0, len(order), 32 * threads)):
                done += len(list(pool.map(one, [epoch] * len(chunk), chunk)))
                if (spent := perf_counter() - started) >= seconds:
                    return done / spent
    raise AssertionError("epochs do not end")
