"""What the harness and the implementations agree on. Depends on `pose` only, imports no framework."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


Emit = Callable[[str, Mapping[str, Any]], None]
"""What a child's function calls to tell the parent something: emit("epoch", {"epoch": 1})."""

Entry = Callable[[dict[str, Any], Emit], Mapping[str, Any]]
"""A function that a child runs: `fn(payload, emit) -> value`, both JSON-able."""

STRICT_ENVIRONMENT = {
    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
    "TF_SET_ONEDNN_FPMATH_MODE": "",
    "NVIDIA_TF32_OVERRIDE": "0",
}
"""Keeps oneDNN and NVIDIA's libraries from rounding float32 operands to fewer bits, in every lane but
`defaults`. The libraries read it at their first operation and export no getter: what is read back is the
process's environment."""


def strict_environment() -> dict[str, str | None]:
    """Return what this process's environment says of the variables above; None where one is unset."""
    return {name: os.environ.get(name) for name in STRICT_ENVIRONMENT}


@dataclass(frozen=True)
class RunnerSpec:
    """One artifact on one runtime, as a runner is asked to hold it."""

    recipe: dict[str, Any]
    """The resolved recipe, as `Recipe.model_dump(mode="json")` gives it."""
    artifact: str
    """The path of a .safetensors or .pt2 (tf, torch), .onnx (onnxruntime) or .xml (openvino) file."""
    mode: str
    """Of the runtime's modes, such as `eager`, `graph`, `compiled` or `ir`."""
    precision: str
    """`fp32` (strict), `bf16`, `fp16`, `int8`, or `defaults`: no precision switch is touched."""
    device: str
    """`cpu`, `cuda` or `intel-gpu`."""
    threads: int
    batch: int
    """Images in every call of `infer`, except a last one that may hold fewer."""
    scenario: str = "latency"
    """What it will be used for; a runtime may set itself up otherwise for `throughput`."""


@dataclass(frozen=True, eq=False)
class Source:
    """A twin's live object for a converter that knows neither framework."""

    route: str
    """The conversion route, as reports name it."""
    model: Any
    options: dict[str, Any]
    """What the converter's entry point needs beside the object, such as an example input."""
    infer: Callable[[np.ndarray], np.ndarray]
    """The source's own inference: images (N, H, W, 3) uint8 -> heatmaps (N, K, h, w) float32."""


class Runner(Protocol):
    """A network held by one runtime, ready for images."""

    def __init__(self, spec: RunnerSpec) -> None:
        """Load and compile; raise `pose.errors.Unsupported` with the reason where that is impossible."""

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32 on the host, of images (N, H, W, 3) uint8 RGB."""

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer all batches in the runtime's own asynchronous or batched mode; return when all are done."""

    def synchronize(self) -> None:
        """Return when the device has finished everything it was given."""

    def effective(self) -> dict[str, Any]:
        """Return what the runtime says it does, read back: precision, threads, device, version.

        `threads` is what it was set to: how many compute, the harness sees for itself.
        `switches` holds every precision switch under the runtime's own name for it; None is unset.
        `device_clock` says what `device_timer` reads, or why there is none.
        """


class DeviceTimer(Protocol):
    """The device's own clock, to be read beside the host's and never instead of it."""

    def start(self) -> None:
        """Mark now in the device's queue."""

    def stop(self) -> int:
        """Mark again, wait until the device has got there, and return the nanoseconds in between."""


@runtime_checkable
class OnDevice(Protocol):
    """What a runner may tell of its device beside what every `Runner` does; ask by isinstance."""

    def device_timer(self) -> DeviceTimer | None:
        """Return a timer of the device's own; None where there is no device, or it has no public clock."""

    def device_memory_bytes(self) -> int | None:
        """Return the most memory that the runtime has held on the device; None on the CPU or when unknown."""


def cxx_compiler() -> str | None:
    """Return the path of the C++ compiler that torch.compile would call; None when it is not there.

    $CXX, or else g++ on Linux and clang++ on macOS (PyTorch, torch/_inductor/config.py).
    """
    default = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(shlex.split(os.environ.get("CXX") or default)[0])


def plain(value: Any) -> Any:
    """Return `value` as JSON knows it: NumPy as numbers and lists, paths as text, NaN and infinity null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot cross to another process as JSON: {value!r}")
