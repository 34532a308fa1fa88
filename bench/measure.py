"""Inside the child: one cell measured once. Every arm is timed by the same clock under the same rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench import stats
from bench.contract import Emit, Runner, RunnerSpec
from bench.worker import resolve
from pose import evaluate, inference, splits
from pose import recipe as recipes
from pose.errors import UserError
from pose.files import replacing
from pose.skeleton import NUM_JOINTS

BATCHES_IN_BLOCK = 4
"""Batches that one `submit_all` is given: enough for an asynchronous runtime to fill and drain."""


class Phases:
    """Seconds by phase, told to the parent as they end."""

    def __init__(self, emit: Emit) -> None:
        self.seconds: dict[str, float | None] = {}
        self.emit = emit

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started_ns = time.perf_counter_ns()
        yield
        self.seconds[name] = (time.perf_counter_ns() - started_ns) / 1e9
        self.emit("phase", {"phase": name, "s": self.seconds[name]})


class NullRunner:
    """A runner that computes nothing: what it costs is the harness itself."""

    def __init__(self, spec: RunnerSpec) -> None:
        width, height = recipes.from_dict(spec.recipe).model.heatmap_size
        self.heatmaps = np.zeros((spec.batch, NUM_JOINTS, height, width), np.float32)

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return zeros (N, K, h, w)."""
        return self.heatmaps[: len(images)]

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Return at once."""

    def synchronize(self) -> None:
        """Return at once."""

    def effective(self) -> dict[str, Any]:
        """Return that nothing is computed."""
        return {"precision": None, "threads": 0, "device": "none", "version": None}


def cell(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Measure one cell; return {"effective", "phases_s", "count", "stats", "validity"}.

    payload: "runner" ("module:class"), "spec" (RunnerSpec's fields), "protocol" (matrix.Protocol's),
    "coco", "split_file", "boxes" (a detection file or null) and "samples", where raw samples go (.npz).
    """
    spec = RunnerSpec(**payload["spec"])
    if spec.scenario not in SCENARIOS:
        raise UserError(f"unknown scenario '{spec.scenario}'; expected one of: {', '.join(SCENARIOS)}")
    inputs = read_inputs(spec, payload)
    phases = Phases(emit)
    with phases("import"):
        make: Callable[[RunnerSpec], Runner] = resolve(payload["runner"])
    with phases("load"):
        runner = make(spec)
    first = images(inputs, spec.batch, 1)
    with phases("first"):
        run_once(runner, spec, first)
    value = SCENARIOS[spec.scenario](runner, spec, payload, inputs, phases)
    samples = value.pop("samples", {})
    if samples:
        with replacing(Path(payload["samples"])) as temporary:
            np.savez(temporary, **samples)
    effective = runner.effective()
    # Only the runtime knows how much of its loading was compilation; null where it compiles lazily.
    compile_s = effective.pop("compile_s", None)
    phases.seconds["compile"] = compile_s
    if compile_s is not None:
        phases.seconds["load"] = (phases.seconds["load"] or 0.0) - compile_s
    value["stats"]["peak_rss_bytes"] = peak_rss_bytes()
    return {"effective": effective, "phases_s": phases.seconds, **value}


def read_inputs(spec: RunnerSpec, payload: dict[str, Any]) -> inference.Inputs:
    """Return the validation part's inputs; evaluation runs in batches of the cell's size."""
    recipe = recipes.from_dict(spec.recipe)
    evaluation = recipe.evaluation.model_copy(update={"batch_size": spec.batch})
    manifest = splits.read(Path(payload["split_file"]))
    boxes = Path(payload["boxes"]) if payload["boxes"] else None
    recipe = recipe.model_copy(update={"evaluation": evaluation})
    return inference.Inputs(recipe, Path(payload["coco"]), manifest, "val", boxes)


def images(inputs: inference.Inputs, batch: int, count: int) -> list[np.ndarray]:
    """Return `count` batches (batch, H, W, 3) uint8 of inputs, from the first again when they run out."""
    pool = inputs.batch(0, min(len(inputs), batch * count))
    order = np.arange(batch * count) % len(pool)
    return [np.ascontiguousarray(pool[order[i : i + batch]]) for i in range(0, batch * count, batch)]


def run_once(runner: Runner, spec: RunnerSpec, batches: list[np.ndarray]) -> None:
    """Infer as the scenario will, and wait until the device is done."""
    if spec.scenario == "throughput":
        runner.submit_all(batches)
    else:
        runner.infer(batches[0])
    runner.synchronize()


def repeat(action: Callable[[int], None], seconds: float, queries: int) -> np.ndarray:
    """Call action(0), action(1) ... for at least `seconds` and `queries`; return durations (n,) int64, ns."""
    clock = time.perf_counter_ns
    durations: list[int] = []
    end_ns = clock() + int(seconds * 1e9)
    while len(durations) < queries or clock() < end_ns:
        started_ns = clock()
        action(len(durations))
        durations.append(clock() - started_ns)
    return np.array(durations, np.int64)


def latency(
    runner: Runner, spec: RunnerSpec, payload: dict[str, Any], inputs: inference.Inputs, phases: Phases
) -> dict[str, Any]:
    """Measure one query after another; a query is one batch from host memory to host memory."""
    protocol = payload["protocol"]
    batches = images(inputs, spec.batch, protocol["images"])

    def query(number: int) -> None:
        runner.infer(batches[number % len(batches)])
        runner.synchronize()

    with phases("warmup"):
        repeat(query, protocol["warmup_s"], protocol["warmup_queries"])
    with phases("measured"):
        latency_ns = repeat(query, protocol["measured_s"], protocol["measured_queries"])
    return {
        "count": len(latency_ns),
        "stats": stats.latency(latency_ns),
        "validity": stats.validity(latency_ns),
        "samples": {"latency_ns": latency_ns},
    }


def throughput(
    runner: Runner, spec: RunnerSpec, payload: dict[str, Any], inputs: inference.Inputs, phases: Phases
) -> dict[str, Any]:
    """Measure blocks of batches in the runtime's own asynchronous or batched mode."""
    protocol = payload["protocol"]
    batches = images(inputs, spec.batch, BATCHES_IN_BLOCK)

    def block(number: int) -> None:
        runner.submit_all(batches)
        runner.synchronize()

    with phases("warmup"):
        repeat(block, protocol["warmup_s"], 1)
    with phases("measured"):
        block_ns = repeat(block, protocol["measured_s"], 2)
    return {
        "count": len(block_ns) * len(batches),
        "stats": stats.throughput(block_ns, spec.batch * len(batches), spec.batch),
        "validity": stats.validity(block_ns),
        "samples": {"block_ns": block_ns},
    }


def accuracy(
    runner: Runner, spec: RunnerSpec, payload: dict[str, Any], inputs: inference.Inputs, phases: Phases
) -> dict[str, Any]:
    """Score the whole validation part by the recipe's own test protocol, in batches of the cell's size."""
    manifest = splits.read(Path(payload["split_file"]))
    truth = splits.ground_truth(manifest, Path(payload["coco"]), "val")
    phases.seconds["warmup"] = None
    with phases("measured"):
        rows = inference.predict(lambda images: in_whole_batches(runner, spec.batch, images), inputs)
    counts = {"instances": len(inputs), "images": len(truth["images"])}
    return {
        "count": len(inputs),
        "stats": {**evaluate.score(rows, truth), **counts},
        "validity": {"verdict": "VALID", "reasons": []},
    }


def in_whole_batches(runner: Runner, batch: int, images: np.ndarray) -> np.ndarray:
    """Return heatmaps (n, K, h, w) of n <= batch images; black ones fill the batch up.

    A compiled graph would be compiled again for a last batch of another size.
    """
    missing = ((0, batch - len(images)), (0, 0), (0, 0), (0, 0))
    return runner.infer(np.pad(images, missing))[: len(images)]


SCENARIOS = {"latency": latency, "throughput": throughput, "accuracy": accuracy}


def peak_rss_bytes() -> int:
    """Return the most resident memory this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would do, but after exec it still counts the parent's memory.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)
