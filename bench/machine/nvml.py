"""The door to NVIDIA's management library (NVML), by nvidia-ml-py; nothing is loaded until it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pose.errors import Unsupported


@contextmanager
def library() -> Iterator[ModuleType]:
    """Yield NVML, initialized; raise Unsupported with the reason where it is not there or fails."""
    try:
        import pynvml
    except ImportError:
        raise Unsupported("nvidia-ml-py is not installed: pip install nvidia-ml-py") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unsupported(f"no NVML here: {error}") from None
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise Unsupported(f"NVML says: {error}") from None
    finally:
        pynvml.nvmlShutdown()


def device(nvml: ModuleType) -> Any:
    """Return NVML's handle of the GPU that CUDA calls device 0.

    NVML knows nothing of CUDA_VISIBLE_DEVICES, and counts in the order of the bus; CUDA does so when
    CUDA_DEVICE_ORDER=PCI_BUS_ID, or when all GPUs are alike. Raises Unsupported where none is visible.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if first.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(first))
    if first.startswith("GPU-"):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    raise Unsupported(f"CUDA_VISIBLE_DEVICES='{first}' names no whole GPU")


@dataclass(frozen=True)
class User:
    """A process that computes on a GPU."""

    gpu: int
    pid: int


def users() -> list[User]:
    """Return the processes that compute on any NVIDIA GPU; [] where there is none or none can be asked."""
    try:
        with library() as nvml:
            handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())]
            return [
                User(gpu, process.pid)
                for gpu, handle in enumerate(handles)
                for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            ]
    except Unsupported:
        return []
