"""Checkpoints in a framework's own format, read and written in a child that has the framework."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contract import Emit
from bench.process.launch import in_child
from bench.process.worker import resolve
from pose import architecture, channel_order, magic, recipe, weights
from pose.errors import UserError
from pose.files import require_writable

SUFFIXES = {".pth": "torch", ".pt": "torch", ".tar": "torch", ".ckpt": "torch", ".weights.h5": "tf"}
"""Which twin reads and writes a file; `imagenet` is torchvision's."""
HOLDS = {"torch": (magic.ZIP, magic.PICKLE), "tf": (magic.HDF5,)}


def twin_of(path: str, *others: str) -> str:
    """Return the twin whose framework reads `path`, or raise UserError naming all suffixes, `others` too."""
    if path == "imagenet":
        return "torch"
    for suffix, twin in SUFFIXES.items():
        if path.lower().endswith(suffix):
            return twin
    known = ", ".join((*others, *SUFFIXES))
    raise UserError(
        f"{path} is of no known kind of weights{magic.also(Path(path))}; expected a file ending in {known}"
    )


def read(source: str, model: recipe.Model, out: Path) -> None:
    """Write the tensors of any checkpoint, by canonical name, to `out` (safetensors).

    Its metadata say the channel order where the checkpoint does.
    """
    if source != "imagenet" and not Path(source).is_file():
        raise UserError(f"no file {source}; expected 'imagenet' or the path of a checkpoint")
    if source.lower().endswith(".safetensors"):
        tensors, metadata = weights.read_with_metadata(Path(source))
        weights.save(out, weights.canonical_names(tensors), metadata)
        return
    kind, expected = magic.kind_of(Path(source)), HOLDS[twin_of(source, ".safetensors")]
    if kind not in (None, *expected):
        raise UserError(f"{source} is {kind}; expected {'; or '.join(expected)}")
    payload = {"source": source, "model": model.model_dump(mode="json"), "out": str(out)}
    in_child("bench.artifacts.checkpoints:read_in_child", payload)


def write(resolved: recipe.Recipe, weights_path: Path, out: Path) -> None:
    """Write canonical weights in the format that the suffix of `out` names."""
    twin_of(str(out))
    require_writable(out, but_not=[weights_path])
    payload = {"recipe": resolved.model_dump(mode="json"), "weights": str(weights_path), "out": str(out)}
    in_child("bench.artifacts.checkpoints:write_in_child", payload)


@dataclass(frozen=True)
class Imported:
    """What became of a checkpoint."""

    tensors: int
    channel_order: str
    by: str
    """Who says the channel order, in words."""


def import_weights(source: str, resolved: recipe.Recipe, out: Path, order: str | None = None) -> Imported:
    """Write a checkpoint as canonical weights of the recipe's model.

    order: the channel order of the images that it was trained on, for a checkpoint that does not say; else
    it is what the publishers of its layout train on, or, of safetensors and Keras's files, the recipe's.
    Raises UserError naming a missing, extra, wrongly shaped or non-finite tensor, and for an order that the
    file contradicts. torchvision's files hold a body alone: the head then keeps the recipe's initial weights.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"--out {out} would hold safetensors; expected a name ending in .safetensors")
    require_writable(out, but_not=[Path(source)])
    described = architecture.build(resolved.model)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.safetensors"
        read(source, resolved.model, raw)
        loaded, metadata = weights.read_with_metadata(raw)
    if not any(name.startswith(("deconv_layers.", "final_layer.")) for name in loaded):
        loaded = weights.overlay(weights.initial(described, resolved.training.seed), loaded, source)
    canonical = weights.check(loaded, described, source)
    said, by = _order(source, metadata, order, resolved)
    weights.save(out, canonical, {"imported_from": Path(source).name, channel_order.KEY: said})
    return Imported(len(canonical), said, by)


def _order(
    source: str, metadata: Mapping[str, object], told: str | None, resolved: recipe.Recipe
) -> tuple[str, str]:
    """Return a checkpoint's channel order, and who says so."""
    said = channel_order.of(metadata)
    if said and told and said != told:
        raise UserError(f"{source} says that it is {said}; --channel-order {told} contradicts it")
    if said:
        return said, "the file says so"
    if told:
        return told, "as --channel-order says"
    if usual := metadata.get(channel_order.OF_LAYOUT):
        return str(usual), "as published checkpoints of this layout; --channel-order if yours is not"
    return resolved.data.channel_order, "as the recipe, for the file does not say; else --channel-order"


def read_in_child(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Read a checkpoint with its own framework (runs in the child)."""
    reader = resolve(f"{twin_of(payload['source'])}_impl.export:read_native")
    reader(payload["source"], recipe.Model(**payload["model"]), Path(payload["out"]))
    return {}


def write_in_child(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write a checkpoint with its own framework (runs in the child)."""
    writer = resolve(f"{twin_of(payload['out'])}_impl.export:write_native")
    writer(recipe.from_dict(payload["recipe"]), Path(payload["weights"]), Path(payload["out"]))
    return {}
