"""The stage that turns a trained twin into what the other runtimes read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import console
from bench.cells.cell import Cell
from bench.cells.runtimes import batches_of, exports
from bench.process.with_bar import call_with_bar
from bench.run.conversion import Format
from bench.run.folder import RunFolder
from bench.stages.measurement import load_matrix
from pose.errors import Unsupported


def convert(
    run: RunFolder, twin: str, *, matrix: str | None = None, kinds: Collection[str] = ()
) -> dict[str, Any]:
    """Convert a twin's best checkpoint to what other runtimes load, in a process of its own.

    That is what is always made, what the cells of a matrix load (the recipe's unless named), and `kinds`.
    """
    weights = run.train_folder(twin) / "best.safetensors"
    if not weights.exists():
        raise Unsupported(
            f"{run.path} has no trained {twin}; 'twinpose train {run.quoted} --twin {twin}' makes it"
        )
    record = converted(run, twin, weights, formats(twin, _cells(run, matrix), kinds))
    for route in record["routes"]:
        console.say(f"{twin:5s} {route_name(route)}: {route_text(route)}")
    return record


def formats(twin: str, cells: Sequence[Cell], kinds: Collection[str] = ()) -> list[Format]:
    """Return what a conversion is asked for, as `bench.cells.runtimes.exports` has it."""
    return [
        Format(file.kind, file.batch, tuple(batches_of(file, cells))) for file in exports(twin, cells, kinds)
    ]


def converted(
    run: RunFolder, twin: str, weights: Path, wanted: Sequence[Format], *, log_stays: bool = True
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
        "formats": msgspec.to_builtins(wanted),
    }
    entry, title, threads = "bench.artifacts.convert:convert", f"convert {twin}", run.settings.threads
    return call_with_bar(entry, payload, out / "child", title, threads, log_stays=log_stays)


def _cells(run: RunFolder, matrix: str | None) -> Sequence[Cell]:
    """Return the cells of a matrix, the recipe's unless named; none where there is neither."""
    return load_matrix(run, matrix).cells if matrix or run.recipe.matrix else ()


def route_name(route: dict[str, Any]) -> str:
    """Return a route with the batch that its file is for: keras-litert-int8 b8."""
    return f"{route['route']} b{route['batch']}" if route.get("batch") else str(route["route"])


def route_text(route: dict[str, Any]) -> str:
    """Return how a conversion went: its difference from the source, or why there is none."""
    if route["status"] != "ok":
        return f"{route['status']}: {route['reason']}"
    return f"max |difference| {route['max_abs_difference']:.2e} (rms of the source {route['rms_source']:.2e})"
