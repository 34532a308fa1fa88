"""What every timed scenario is made of: the job it is given, and a subject that the loop calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Protocol

import numpy as np

from bench.contract import Emit, Runner, RunnerSpec
from bench.process.worker import resolve
from pose import inference, splits
from pose import recipe as recipes
from pose.recipe import Recipe


class Phases:
    """Seconds by phase, told to the parent as they end; phases that are not timed are null."""

    def __init__(self, emit: Emit) -> None:
        self.seconds: dict[str, float | None] = dict.fromkeys(
            ("import", "load", "compile", "first", "warmup", "measured")
        )
        self.emit = emit

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started_ns = perf_counter_ns()
        yield
        self.seconds[name] = (perf_counter_ns() - started_ns) / 1e9
        self.emit("phase", {"phase": name, "s": self.seconds[name]})


@dataclass(frozen=True)
class RoundJob:
    """One cell to be measured once in this process."""

    spec: RunnerSpec
    protocol: dict[str, Any]
    """`bench.cells.protocol.Protocol`'s fields."""
    payload: dict[str, Any]
    """The rest of the request: "runner", "twin", "coco", "split_file", "boxes"."""
    phases: Phases

    @cached_property
    def recipe(self) -> Recipe:
        """Return the run's recipe; its training and its evaluation run in batches of the cell's size."""
        resolved, size = recipes.from_dict(self.spec.recipe), {"batch_size": self.spec.batch}
        parts = {"training": resolved.training, "evaluation": resolved.evaluation}
        return resolved.model_copy(update={k: part.model_copy(update=size) for k, part in parts.items()})

    @cached_property
    def coco(self) -> Path:
        """Return the folder of the dataset."""
        return Path(self.payload["coco"])

    @cached_property
    def manifest(self) -> splits.Manifest:
        """Return the run's split."""
        return splits.read(Path(self.payload["split_file"]))

    @cached_property
    def inputs(self) -> inference.Inputs:
        """Return the validation part's inputs, with the run's boxes."""
        boxes = Path(self.payload["boxes"]) if self.payload["boxes"] else None
        return inference.Inputs(self.recipe, self.coco, self.manifest, "val", boxes)

    def images(self, count: int) -> list[np.ndarray]:
        """Return `count` batches (B, H, W, 3) uint8 of inputs, from the first again when they run out."""
        batch = self.spec.batch
        pool = self.inputs.batch(0, min(len(self.inputs), batch * count))
        order = np.arange(batch * count) % len(pool)
        return [np.ascontiguousarray(pool[order[i : i + batch]]) for i in range(0, batch * count, batch)]

    def runner(self) -> Runner:
        """Return the cell's runner, its phases import and load timed."""
        with self.phases("import"):
            make: Callable[[RunnerSpec], Runner] = resolve(self.payload["runner"])
        with self.phases("load"):
            return make(self.spec)


@dataclass(frozen=True)
class Summary:
    """What the measured durations come to."""

    value: float
    """The round's figure: median ms of a query, or images, samples or steps a second."""
    stats: dict[str, Any]
    count: int
    """Queries, batches, steps or samples in the measured phase."""
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    """Raw nanoseconds (n,) int64 by name; more than one where a query has spans."""


class Workload(Protocol):
    """What is timed. Making it fills the phases import and load."""

    def once(self, number: int) -> None:
        """Do the number-th query, block, batch or step; return when its result is on the host."""

    def start(self) -> None:
        """Note into fresh lists from now on: before a window, and after it, for it keeps its own."""

    def summarise(self, durations_ns: np.ndarray) -> Summary:
        """Return what the durations (n,) int64 of `once` come to."""

    def effective(self) -> dict[str, Any]:
        """Return what the runtime says it does, read back."""
