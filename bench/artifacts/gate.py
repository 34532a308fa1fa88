"""What every converted artifact has to pass before anything times it: the conversion gate.

In a process of its own, on the runtime that will load it: near enough to its source on one image and on the
bench's batches, nothing but numbers, and images of another type or shape refused. A converter that ends well
may have written a network without its weights; a runtime may read float32 as bytes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.artifacts import ArtifactFile
from bench.cells.runtimes import first_user
from bench.contract import Emit, RunnerSpec
from bench.process import launch
from bench.process.worker import explain, resolve
from bench.statistics import rounding
from pose.errors import UserError
from pose.files import write_arrays

WHY = {
    "fp32": "2 x 1e-5 + 1e-7: two float32 computations, each within rung 7's bound of the exact heatmaps",
    "lower": "1: heatmaps of nothing but zeros are as near",
}
"""Why a bound is that number; it is relative to the rms of the source's heatmaps."""


class GateRefused(Exception):
    """An artifact did not pass; the message is the reason."""


def bound(precision: str) -> float:
    """Return how far heatmaps may be from the source's: rmse relative to the rms of these.

    Float32 by rung 7's own rule. A lower precision is judged by its AP, there as here: what is refused is
    what has nothing of its source.
    """
    return rounding.bound(1.0) if precision == "fp32" else 1.0


def passed(
    file: ArtifactFile,
    path: Path,
    recipe: dict[str, Any],
    images: np.ndarray,
    heatmaps: np.ndarray,
    batches: Sequence[int],
) -> dict[str, Any]:
    """Return what the gate saw of an artifact, as conversion.json records it.

    images: (N, H, W, 3) uint8; heatmaps: the source's (N, K, h, w) of them; batches: at which it is run.
    Raises GateRefused with the reason, or Unsupported where its runtime does not run here.
    """
    runtime, mode, precision = first_user(file.kind)
    folder = path.parent / f"{path.name}-gate"
    write_arrays(folder / "probe.npz", {"images": images, "heatmaps": heatmaps})
    specs = [RunnerSpec(recipe, str(path.resolve()), mode, precision, "cpu", 1, b) for b in batches]
    payload = {
        "runner": runtime.runner,
        "specs": [asdict(one) for one in specs],
        "probe": (folder / "probe.npz").resolve(),
    }
    outcome = launch.call("bench.artifacts.gate:look", payload, folder, log_stays=False)
    shutil.rmtree(folder)
    if outcome.status not in {"ok", "unsupported"}:
        raise GateRefused(f"{path.name} does not run on {runtime.title}: {outcome.reason}")
    seen = launch.value_of(outcome)
    record = {"runtime": runtime.name, "precision": precision, "bound": bound(precision), **seen}
    if reason := refused(record):
        raise GateRefused(f"{path.name} on {runtime.title} {reason}")
    return record


def refused(record: dict[str, Any]) -> str | None:
    """Return why an artifact does not pass, of what the gate saw of it; None where it does."""
    for one in record["checks"]:
        what = f"{one['images']} at batch {one['batch']}: its heatmaps"
        if not one["finite"]:
            return f"fails on {what} are not all numbers; expected those of its source"
        if one["error"] is None:
            return f"fails on {what} have another shape than its source's"
        if not one["error"] <= record["bound"]:
            why = WHY["fp32" if record["precision"] == "fp32" else "lower"]
            off, bound_ = one["error"], record["bound"]
            return f"fails on {what} are {off:.2g} x rms(source) off, bound {bound_:.2g} ({why})"
    taken = [name for name, words in record["refused"].items() if words is None]
    return f"takes {taken[0]}; expected a UserError" if taken else None


def look(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return what a runner makes of the probe at each of its batches, and of wrong images (in the child)."""
    with np.load(payload["probe"]) as stored:
        images, heatmaps = stored["images"], stored["heatmaps"]
    checks, refusals = [], {}
    for spec in (RunnerSpec(**one) for one in payload["specs"]):
        runner = resolve(payload["runner"])(spec)
        for count in sorted({1, spec.batch}):
            which = np.arange(count) % len(images)
            checks.append(_check(spec.batch, runner.infer(images[which]), heatmaps[which]))
        refusals = _refusals(runner, images[np.arange(spec.batch + 1) % len(images)])
    return {"checks": checks, "refused": refusals}


def _check(batch: int, made: np.ndarray, source: np.ndarray) -> dict[str, Any]:
    off, size = rounding.rmse(made, source), rounding.rms(source)
    off = off / size if size else math.inf if off else 0.0
    largest = float(np.abs(made - source).max()) if made.shape == source.shape else None
    return {
        "batch": batch,
        "images": len(source),
        "finite": bool(np.isfinite(made).all()),
        "error": off if math.isfinite(off) else None,
        "max_abs_difference": largest if largest is None or math.isfinite(largest) else None,
    }


def _refusals(runner: Any, images: np.ndarray) -> dict[str, str | None]:
    """Return by what is wrong with images the line that refuses them; None where they were taken.

    images: one more than the runner's batch.
    """
    whole = images[:-1]
    wrong = {
        "float32 for uint8": whole.astype(np.float32),
        "images of another height": np.ascontiguousarray(whole[:, 1:]),
        "more images than its batch": images,
    }
    return {name: _line(runner, given) for name, given in wrong.items()}


def _line(runner: Any, images: np.ndarray) -> str | None:
    try:
        runner.infer(images)
    except UserError as error:
        return str(error)
    except Exception as error:
        raise TypeError(
            f"refused {images.dtype} of {'x'.join(map(str, images.shape))} in no words of its own: "
            f"{': '.join(explain(error))}"
        ) from error
    return None
