"""Checkpoints in a framework's own format, read and written in a child that has the framework."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bench import launch
from bench.contract import Emit
from bench.worker import resolve
from pose import architecture, recipe, weights
from pose.errors import UserError

SUFFIXES = {".pth": "torch", ".pt": "torch", ".tar": "torch", ".h5": "tf"}
"""Which twin reads and writes a file; `imagenet` is torchvision's."""


def twin_of(path: str) -> str:
    """Return the twin whose framework reads `path`; UserError for another suffix."""
    if path == "imagenet":
        return "torch"
    try:
        return SUFFIXES[Path(path).suffix]
    except KeyError:
        known = ", ".join((".safetensors", *SUFFIXES))
        raise UserError(f"{path} is of no known kind of weights; expected a file ending in {known}") from None


def read(source: str, model: recipe.Model, out: Path) -> None:
    """Write the tensors of any checkpoint, by canonical name, to `out` (safetensors)."""
    if source != "imagenet" and not Path(source).is_file():
        raise UserError(f"no file {source}; expected 'imagenet' or the path of a checkpoint")
    if Path(source).suffix == ".safetensors":
        weights.save(out, weights.canonical_names(weights.read(Path(source))))
        return
    in_child("bench.native:read_in_child", {"source": source, "backbone": model.backbone, "out": str(out)})


def write(resolved: recipe.Recipe, weights_path: Path, out: Path) -> None:
    """Write canonical weights in the format that the suffix of `out` names."""
    twin_of(str(out))
    payload = {"recipe": resolved.model_dump(mode="json"), "weights": str(weights_path), "out": str(out)}
    in_child("bench.native:write_in_child", payload)


def import_weights(source: str, resolved: recipe.Recipe, out: Path) -> int:
    """Write a checkpoint as canonical weights of the recipe's model; return the number of tensors.

    Raises UserError naming a missing, extra, wrongly shaped or non-finite tensor. torchvision's
    files hold a body alone: the head then keeps the recipe's initial weights.
    """
    described = architecture.build(resolved.model)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.safetensors"
        read(source, resolved.model, raw)
        loaded = weights.read(raw)
    if not any(name.startswith(("deconv_layers.", "final_layer.")) for name in loaded):
        loaded = weights.overlay(weights.initial(described, resolved.training.seed), loaded, source)
    canonical = weights.check(loaded, described, source)
    weights.save(out, canonical, {"imported_from": Path(source).name})
    return len(canonical)


def read_in_child(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Read a checkpoint with its own framework (runs in the child)."""
    reader = resolve(f"{twin_of(payload['source'])}_impl.export:read_native")
    reader(payload["source"], payload["backbone"], Path(payload["out"]))
    return {}


def write_in_child(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write a checkpoint with its own framework (runs in the child)."""
    writer = resolve(f"{twin_of(payload['out'])}_impl.export:write_native")
    writer(recipe.from_dict(payload["recipe"]), Path(payload["weights"]), Path(payload["out"]))
    return {}


def in_child(entry: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return what `entry` gives in a short-lived child on the CPU; raise what went wrong there."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = launch.call(entry, payload, Path(folder), env=launch.thread_environment(2))
        return launch.value_of(outcome)
