"""`train`: steps a second of a twin's own training step, fed from memory, and where a step's time goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from bench.cells.scenarios import TRAINING_PRECISION
from bench.process.worker import resolve
from bench.scenarios.base import RoundJob, Summary
from bench.statistics import samples as samples_
from pose import splits
from pose.errors import UserError
from pose.recipe import Recipe

BATCHES = 4
"""Different batches that the steps cycle through: augmented samples of the training part's first epoch."""

LEAST_PARTS = 5
"""Times that each part of a step is measured, at least."""

PARTS_ONCE = ("quick",)
"""Profiles by which a cell's first round alone takes the step apart: tracing the parts costs more than the
whole window."""

PARTS_SHARE = 0.5
"""How long the parts are measured, of the measured window; they come after it and in turn."""


class TrainingSteps:
    """A step is `twinpose train`'s: batch from host memory, loss back on the host, weights moved.

    The cell decides batch, threads and precision; the rest is the recipe's. The weights that steps start
    from are the artifact's, and are never written back.
    """

    def __init__(self, job: RoundJob) -> None:
        self.job, self.batch, twin = job, job.spec.batch, job.payload["twin"]
        with job.phases("import"):
            make = resolve(f"{twin}_impl.phases:Steps")
        recipe = of_cell(job)
        spec = job.spec
        with job.phases("load"):
            # Before any batch: TensorFlow takes the number of its threads only once.
            self.steps = make(recipe, Path(spec.artifact), spec.device, spec.threads)
        self.batches = batches(job, recipe)
        self.loss = 0.0

    def once(self, number: int) -> None:
        """Train on the number-th batch."""
        self.loss = self.steps.step(self.batches[number % len(self.batches)])

    def start(self) -> None:
        """Begin the measured phase; a step leaves nothing to forget or to wait for."""

    def summarise(self, durations_ns: np.ndarray) -> Summary:
        """Return steps a second, and the parts of a step, which are measured here and now.

        By a profile of PARTS_ONCE in the cell's first round alone.
        """
        if not math.isfinite(self.loss):
            raise UserError(
                f"the loss became {self.loss} while steps were measured; expected a finite one; "
                "lower training.learning_rate"
            )
        parts: dict[str, np.ndarray] = {}
        if self.job.payload.get("first", True) or self.job.protocol.get("profile") not in PARTS_ONCE:
            with self.job.phases("parts"):
                parts = self._parts()
        per_s = len(durations_ns) / (float(durations_ns.sum()) / 1e9)
        found = {
            "steps_per_s": per_s,
            "images_per_s": per_s * self.batch,
            "step_ms": samples_.latency(durations_ns)["latency_ms"],
            "n": len(durations_ns),
            "batch": self.batch,
            **({"phases_ms": phases_ms(parts)} if parts else {}),
        }
        samples = {"step_ns": durations_ns} | {f"parts_{name}_ns": values for name, values in parts.items()}
        return Summary(per_s, found, len(durations_ns), samples)

    def effective(self) -> dict[str, Any]:
        """Return what the framework reads back of the step."""
        said: dict[str, Any] = self.steps.effective()
        return said | {"batch": self.batch, "fed_from": "memory"}

    def _parts(self) -> dict[str, np.ndarray]:
        """Return nanoseconds (n,) int64 of each part by name, measured in turn."""
        actions: dict[str, Callable[[Any], object]] = {
            "forward": self.steps.forward,
            "backward": self.steps.backward,
            "step": self.steps.step,
        }
        if self.job.spec.device != "cpu":
            actions = {"to_device": self.steps.transfer} | actions
        for action in actions.values():
            # What a framework traces or allocates at its first call.
            action(self.batches[0])
        return in_turn(actions, self.batches, self.job.protocol["measured_s"] * PARTS_SHARE)


def of_cell(job: RoundJob) -> Recipe:
    """Return the job's recipe whose training has the cell's precision."""
    precision = {"precision": TRAINING_PRECISION[job.spec.precision]}
    return job.recipe.model_copy(update={"training": job.recipe.training.model_copy(update=precision)})


def batches(job: RoundJob, recipe: Recipe) -> list[Any]:
    """Return BATCHES whole batches of the twin's own kind; samples repeat where the part has too few."""
    twin, size = job.payload["twin"], recipe.training.batch_size
    people = splits.select(job.manifest, job.coco, "train")
    loader = resolve(f"{twin}_impl.data:Loader")(people, recipe, 0)
    made = list(islice(loader.batches(1), BATCHES))
    names = ("images", "heatmaps", "weights", "annotation_ids")
    columns = [np.concatenate([getattr(batch, name) for batch in made]) for name in names]
    order = np.arange(BATCHES * size).reshape(BATCHES, size) % len(columns[0])
    kind = resolve(f"{twin}_impl.data:Batch")
    return [kind(*(np.ascontiguousarray(column[chosen]) for column in columns)) for chosen in order]


def in_turn(
    actions: dict[str, Callable[[Any], object]], given: list[Any], seconds: float
) -> dict[str, np.ndarray]:
    """Return nanoseconds (n,) int64 by name of actions called one after another, n >= LEAST_PARTS.

    In turn, so that what changes on the machine meanwhile falls on all of them alike.
    """
    spent: dict[str, list[int]] = {name: [] for name in actions}
    end_ns, number = perf_counter_ns() + int(seconds * 1e9), 0
    while number < LEAST_PARTS or perf_counter_ns() < end_ns:
        for name, action in actions.items():
            started_ns = perf_counter_ns()
            action(given[number % len(given)])
            spent[name].append(perf_counter_ns() - started_ns)
        number += 1
    return {name: np.array(values, np.int64) for name, values in spent.items()}


def phases_ms(parts: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the phases of a step in ms: differences of the medians of parts that hold each other.

    parts: nanoseconds (n,) of "forward", "backward" (forward and gradients), "step" (all) and, on a device
    with memory of its own, "to_device" (host to device, which each of the three begins with; null without).
    Noise may make a small difference negative: it is left as it came out.
    """
    total = {name: samples_.percentile(values, 50) / 1e6 for name, values in parts.items()}
    to_device = total.get("to_device")
    return {
        "to_device": to_device,
        "forward": total["forward"] - (to_device or 0.0),
        "backward": total["backward"] - total["forward"],
        "optimizer": total["step"] - total["backward"],
        "step": total["step"],
    }
