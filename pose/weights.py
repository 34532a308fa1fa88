"""Canonical parameters: names and layouts that both twins load, as safetensors.

Names are torchvision's (body) and Simple Baselines' (head). Convolutions are OIHW, transposed
ones IOHW, all float32: floats of another width become it, other numbers are refused. Optimizer
state is kept in files of its own.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from pose.architecture import HEAD_STD, Architecture
from pose.augment import deviates
from pose.errors import UserError
from pose.files import read_bytes, sha256_of_bytes, write_bytes
from pose.magic import HDF5, PICKLE, ZIP, also, kind_of

Weights = dict[str, np.ndarray]

_METADATA = "twinpose"


def initial(architecture: Architecture, seed: int) -> Weights:
    """Return the starting weights, made in NumPy from `seed`: the same for both twins.

    Body: N(0, 2 / fan_out) (He et al. 2015, as torchvision); head: N(0, 0.001); batch norm
    1 and 0; bias 0 (Xiao et al. 2018, code). Each tensor has its own stream, keyed by its name.
    """
    made: Weights = {}
    for name, shape in architecture.shapes().items():
        leaf = name.rsplit(".", 1)[1]
        if len(shape) == 4:
            head = name.startswith(("deconv_layers", "final_layer"))
            std = HEAD_STD if head else np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
            made[name] = (deviates(seed, name, shape) * std).astype(np.float32)
        else:
            fill = np.ones if leaf in {"weight", "running_var"} else np.zeros
            made[name] = fill(shape, np.float32)
    return made


def generic(architecture: Architecture, seed: int) -> Weights:
    """Return weights with no special values in them: what the parity ladder compares twins on.

    Initial weights hide mistakes (running mean 0 and variance 1, bias 0, a head near 0). Here
    convolutions keep the size of what passes, and every other tensor differs from any default.
    The branch of a residual block adds a fraction of what passes by, as in trained networks: at
    full size fifty layers of batch statistics magnify rounding a hundredfold. Filters hardly answer
    to a constant, or the mean that a ReLU leaves would cost batch statistics in float32 their digits:
    torch's and TensorFlow's sums then differ in accuracy by two.
    """
    made: Weights = {}
    shapes = architecture.shapes()
    for name, shape in shapes.items():
        z = deviates(seed, f"generic/{name}", shape)
        leaf = name.rsplit(".", 1)[1]
        if len(shape) == 4:
            transposed = name.startswith("deconv_layers")
            inputs = (0, 2, 3) if transposed else (1, 2, 3)
            fan_in = math.prod(shape[axis] for axis in inputs)
            if transposed:
                fan_in //= 4  # at stride 2 a pixel sees a quarter of the kernel
            made[name] = (z - 0.9 * z.mean(axis=inputs, keepdims=True)) * np.sqrt(2 / fan_in)
        elif leaf == "running_var":
            made[name] = np.exp(0.3 * z)
        elif leaf == "weight":
            block = name.rsplit(".", 2)[0]
            last = f"{block}.{'bn3' if f'{block}.bn3.weight' in shapes else 'bn2'}.weight"
            size = 0.3 if name == last else 0.7
            made[name] = size + 0.1 * z
        else:
            made[name] = 0.1 * z
    return {name: value.astype(np.float32) for name, value in made.items()}


def check(weights: Mapping[str, np.ndarray], architecture: Architecture, source: str) -> Weights:
    """Return `weights` as float32 in canonical order.

    Raises UserError naming the first missing, extra or wrongly shaped tensor, or one that is not of finite
    floats.
    """
    shapes = architecture.shapes()
    checked: Weights = {}
    for name, shape in shapes.items():
        if name not in weights:
            raise UserError(
                f"{source} lacks the tensor '{name}' {shape}{_found(weights)}; "
                "expected the weights of the recipe's model"
            )
        given = weights[name].shape
        if given != shape:
            raise UserError(
                f"{source}: tensor '{name}' has shape {given}; the recipe's model expects {shape}"
            )
        checked[name] = _float32(weights[name], name, source)
        if not np.isfinite(checked[name]).all():
            raise UserError(
                f"{source}: tensor '{name}' holds numbers that are not finite; expected trained weights"
            )
    for name in weights:
        if name not in shapes:
            raise UserError(
                f"{source} has the tensor '{name}', which the recipe's model does not; use its own recipe"
            )
    return checked


def _found(tensors: Mapping[str, np.ndarray]) -> str:
    return f" (it has {len(tensors)}: {', '.join(list(tensors)[:2])} ...)" if tensors else " (it has none)"


def _float32(value: np.ndarray, name: str, source: str) -> np.ndarray:
    """Return a float of any width as float32, infinite where that cannot hold it."""
    if value.dtype.kind != "f":
        raise UserError(f"{source}: tensor '{name}' is of {value.dtype}; expected floating-point numbers")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(value, np.float32)


def save(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, object] | None = None) -> None:
    """Write tensors and JSON-able metadata to `path` as safetensors, whole or not at all."""
    write_bytes(path, to_bytes(tensors, metadata))


def to_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, object] | None = None) -> bytes:
    """Return tensors and metadata in safetensors format; equal content gives equal bytes."""
    # ascontiguousarray would give a scalar one dimension.
    plain = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    # safetensors writes several metadata keys in random order; one keeps equal content equal bytes.
    return safetensors.numpy.save(plain, {_METADATA: json.dumps(metadata or {})})


def read(path: Path) -> Weights:
    """Return the tensors of a safetensors file; UserError when it is none."""
    return read_with_metadata(path)[0]


def read_with_metadata(path: Path) -> tuple[Weights, dict[str, object]]:
    """Return tensors, in the order of their names, and metadata of a safetensors file.

    Raises UserError when it is none or is truncated. The metadata are those that `save` was given, empty
    for a file that something else wrote.
    """
    data = read_bytes(path, "a whole safetensors file")
    try:
        held = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
        # The format's reader hands them out in any order.
        tensors = {name: _array(name, held[name]) for name in sorted(held)}
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return tensors, json.loads(header.get("__metadata__", {}).get(_METADATA, "{}"))
    except (safetensors.SafetensorError, ValueError) as error:
        raise UserError(
            f"cannot read weights from {path}: {error}{also(path)}; "
            f"expected a whole safetensors file{_hint(path)}"
        ) from error


def _hint(path: Path) -> str:
    other = kind_of(path) in {ZIP, PICKLE, HDF5}
    verb = f"twinpose weights import {shlex.quote(str(path))} --recipe NAME --out NEW.safetensors"
    return f"; '{verb}' makes one of it" if other else ""


_DTYPES = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (8, 16, 32, 64)},
    "BOOL": "?",
}
"""safetensors' names of what NumPy has; bfloat16 is the upper half of a float32."""


def _array(name: str, stored: Mapping[str, Any]) -> np.ndarray:
    dtype, shape, data = (stored[key] for key in ("dtype", "shape", "data"))
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if dtype not in _DTYPES:
        raise ValueError(f"tensor '{name}' is of {dtype}, expected floats of 16, 32 or 64 bits")
    return np.frombuffer(data, _DTYPES[dtype]).reshape(shape).copy()


_PREFIXES = re.compile(r"^(module\.)?((backbone|keypoint_head)\.)?")
"""Of a wrapped model (torch's DataParallel), and of mmpose's body and head."""


def canonical_names(raw: Mapping[str, np.ndarray]) -> Weights:
    """Return a published checkpoint's tensors by canonical name.

    Accepts torchvision's ResNet files, Simple Baselines' and mmpose's, with a `module.` prefix or none;
    the classifier (`fc`) and batch counters are left out.
    """
    names = {name: _PREFIXES.sub("", name) for name in raw}
    dropped = ("fc.weight", "fc.bias")
    return {
        short: np.asarray(raw[name])
        for name, short in names.items()
        if short not in dropped and not short.endswith("num_batches_tracked")
    }


def overlay(base: Weights, loaded: Weights, source: str) -> Weights:
    """Return `base` with its body, or all of it, replaced by loaded weights.

    Raises UserError when a body tensor is missing, or a tensor is unknown or wrongly shaped.
    """
    head = ("deconv_layers.", "final_layer.")
    missing = [name for name in base if name not in loaded and not name.startswith(head)]
    if missing:
        raise UserError(
            f"{source} lacks the tensor '{missing[0]}'{_found(loaded)}; "
            "expected weights of the recipe's backbone"
        )
    for name, value in loaded.items():
        if name not in base:
            raise UserError(
                f"{source} has the tensor '{name}', which the recipe's model does not; use its own backbone"
            )
        if value.shape != base[name].shape:
            raise UserError(f"{source}: tensor '{name}' has shape {value.shape}; expected {base[name].shape}")
    return base | {name: _float32(value, name, source) for name, value in loaded.items()}


def load(path: Path, architecture: Architecture) -> Weights:
    """Return the checked canonical weights in a safetensors file; UserError as in `read` and `check`."""
    return check(read(path), architecture, str(path))


def fingerprint(weights: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the weights' content, in order of name."""
    digest = b"".join(
        f"{name}:{value.shape}:".encode() + np.ascontiguousarray(value).tobytes()
        for name, value in sorted(weights.items())
    )
    return sha256_of_bytes(digest)
