"""The stage that turns a trained twin into what the other runtimes read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench import console
from bench.cells.runtimes import exports
from bench.process.with_bar import call_with_bar
from bench.run.folder import RunFolder
from bench.stages.measurement import load_matrix
from pose.errors import Unsupported


def convert(run: RunFolder, twin: str, *, precisions: Collection[str] = ()) -> dict[str, Any]:
    """Convert a twin's best checkpoint to what other runtimes load, in a process of its own.

    precisions: those that ask for an artifact of their own, as int8 does, beside what the matrix measures.
    """
    weights = run.train_folder(twin) / "best.safetensors"
    if not weights.exists():
        raise Unsupported(
            f"{run.path} has no trained {twin}; 'twinpose train {run.quoted} --twin {twin}' makes it"
        )
    record = converted(run, twin, weights, exports(twin, {*precisions, *_measured(run)}))
    for route in record["routes"]:
        console.say(f"{twin:5s} {route['route']}: {route_text(route)}")
    return record


def converted(
    run: RunFolder, twin: str, weights: Path, formats: list[str], *, log_stays: bool = True
) -> dict[str, Any]:
    """Return what `bench.artifacts.convert.convert` gives for a twin's weights, in a process of its own."""
    out = run.artifact_folder(twin)
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": run.settings.coco.resolve(),
        "split": run.split_file.resolve(),
        "twin": twin,
        "weights": weights.resolve(),
        "out": out.resolve(),
        "formats": formats,
    }
    entry, title, threads = "bench.artifacts.convert:convert", f"convert {twin}", run.settings.threads
    return call_with_bar(entry, payload, out / "child", title, threads, log_stays=log_stays)


def _measured(run: RunFolder) -> set[str]:
    """Return the precisions that the recipe's matrix measures."""
    return {cell.precision for cell in load_matrix(run, None).cells} if run.recipe.matrix else set()


def route_text(route: dict[str, Any]) -> str:
    """Return how a conversion went: its difference from the source, or why there is none."""
    if route["status"] != "ok":
        return f"{route['status']}: {route['reason']}"
    return f"max |difference| {route['max_abs_difference']:.2e} (rms of the source {route['rms_source']:.2e})"
