"""The stage that turns a trained twin into what the other runtimes read."""

from __future__ import annotations

from typing import Any

from bench import console
from bench.cells.runtimes import ARTIFACTS
from bench.process.with_bar import call_with_bar
from bench.run.folder import RunFolder
from bench.stages.measurement import load_matrix
from pose.errors import Unsupported


def convert(run: RunFolder, twin: str, *, int8: bool = False) -> dict[str, Any]:
    """Convert a twin's best checkpoint to IR (and ONNX for torch) in a process of its own.

    `int8` quantises the IR too; so does a recipe whose matrix measures it.
    """
    out, weights = run.artifact_folder(twin), run.train_folder(twin) / "best.safetensors"
    if not weights.exists():
        raise Unsupported(
            f"{run.path} has no trained {twin}; 'twinpose train {run.quoted} --twin {twin}' makes it"
        )
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": str(run.settings.coco),
        "split": str(run.split_file.resolve()),
        "twin": twin,
        "weights": str(weights.resolve()),
        "out": str(out.resolve()),
        "formats": _kinds(run, twin, int8),
    }
    record = call_with_bar(
        "bench.artifacts.convert:convert", payload, out / "child", f"convert {twin}", run.settings.threads
    )
    for route in record["routes"]:
        console.say(f"{twin:5s} {route['route']}: {route_text(route)}")
    return record


def _kinds(run: RunFolder, twin: str, int8: bool) -> list[str]:
    """Return the kinds of artifact to make of a twin: those made always, and those that cells ask for."""
    asked = {cell.precision for cell in load_matrix(run, None).cells} if run.recipe.matrix else set()
    asked |= {"int8"} if int8 else set()
    of_twin = [one for one in ARTIFACTS.values() if one.is_export and twin in one.twins]
    return [one.kind for one in of_twin if one.when is None or one.when in asked]


def route_text(route: dict[str, Any]) -> str:
    """Return how a conversion went: its difference from the source, or why there is none."""
    if route["status"] != "ok":
        return f"{route['status']}: {route['reason']}"
    return f"max |difference| {route['max_abs_difference']:.2e} (rms of the source {route['rms_source']:.2e})"
