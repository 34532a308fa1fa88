"""The PyTorch twin as a runner of the bench: eager and compiled."""

from __future__ import annotations

import os
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.contract import STRICT_ENVIRONMENT, RunnerSpec, cxx_compiler, strict_environment
from pose import architecture, recipe, weights
from pose.errors import Unsupported
from torch_impl import model

PRECISIONS = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "defaults": torch.float32,
}
"""The parameters' type in each lane."""

ON_CPU = ("mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")
ON_GPU = ("cuda.matmul", "cudnn.conv", "cudnn.rnn")
"""Backends of which each says in its `fp32_precision` how it multiplies float32: ieee, tf32 or bf16."""


class Runner:
    """One checkpoint in `eager` or `compiled` (torch.compile) mode."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode not in {"eager", "compiled"}:
            raise Unsupported(f"torch has no mode '{spec.mode}'; it has eager and compiled")
        if spec.mode == "compiled" and not cxx_compiler():
            raise Unsupported("torch.compile needs a C++ compiler: neither g++ nor $CXX is on the path")
        self.dtype = _parameters_in(spec.precision)
        _prepare(spec)
        resolved = recipe.from_dict(spec.recipe)
        self.spec, self.device = spec, torch.device(spec.device)
        net = model.build(resolved, spec.device)
        model.load_weights(net, weights.load(Path(spec.artifact), architecture.build(resolved.model)))
        self.net = net.to(self.dtype, memory_format=torch.channels_last)
        self.forward = torch.compile(self.net) if spec.mode == "compiled" else self.net

    @torch.inference_mode()
    def _run(self, images: np.ndarray) -> torch.Tensor:
        return self.forward(torch.from_numpy(images).to(self.device, non_blocking=True)).float()

    def infer(self, images: np.ndarray) -> np.ndarray:
        """Return heatmaps (N, K, h, w) float32 on the host, of images (N, H, W, 3) uint8 RGB."""
        return self._run(images).cpu().numpy()

    def submit_all(self, batches: list[np.ndarray]) -> None:
        """Infer all batches, queued on a GPU; return when the last is on the host."""
        outputs = [self._run(batch) for batch in batches]
        for output in outputs:
            output.cpu()

    def synchronize(self) -> None:
        """Return when the device has finished everything it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def device_timer(self) -> CudaTimer | None:
        """Return a pair of CUDA events; None on the CPU."""
        return CudaTimer() if self.device.type == "cuda" else None

    def device_memory_bytes(self) -> int | None:
        """Return the most memory that tensors have held on the GPU; None on the CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    def effective(self) -> dict[str, Any]:
        """Return what torch says it does, read back."""
        parameter = self.net.final_layer.weight
        on_gpu = self.device.type == "cuda"
        return {
            "runtime": f"torch {torch.__version__}",
            "precision": str(parameter.dtype).removeprefix("torch."),
            "switches": switches(),
            "onednn": onednn(),
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "device_clock": "CUDA events" if on_gpu else "none: on the CPU the host's clock is the device's",
            "mode": self.spec.mode,
            "memory_format": "channels_last",
        }


class CudaTimer:
    """Two CUDA events in the current stream."""

    def __init__(self) -> None:
        self.began, self.ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        """Mark now in the stream."""
        self.began.record()

    def stop(self) -> int:
        """Mark again, wait until the device has got there, and return the nanoseconds in between."""
        self.ended.record()
        self.ended.synchronize()
        return round(self.began.elapsed_time(self.ended) * 1e6)


def _parameters_in(precision: str) -> torch.dtype:
    if precision not in PRECISIONS:
        raise Unsupported(
            f"torch has no {precision} network here: 'twinpose convert' quantises the IR alone, "
            "so that OpenVINO runs int8; torch would need a quantised copy of the module"
        )
    return PRECISIONS[precision]


def _prepare(spec: RunnerSpec) -> None:
    """Fix the thread count of this process and, but for the lane `defaults`, every precision switch."""
    if spec.device == "cuda" and not torch.cuda.is_available():
        raise Unsupported("no CUDA device is visible to torch")
    torch.set_num_threads(spec.threads)
    if spec.precision != "defaults":
        set_strict_fp32()


def set_strict_fp32() -> None:
    """Set every switch that could round float32 to fewer bits; before the first operation of this process."""
    os.environ.update(STRICT_ENVIRONMENT)
    # The older switches: the newer ones would leave these unreadable, and torch.compile reads them.
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    for name in ON_CPU:
        attrgetter(name)(torch.backends).fp32_precision = "ieee"


def onednn() -> bool:
    """Return whether oneDNN computes what it can."""
    return bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)


def switches() -> dict[str, Any]:
    """Return every precision switch as torch has it; `none` is ieee by default."""
    backends = {f"{x}.fp32_precision": attrgetter(x)(torch.backends).fp32_precision for x in ON_CPU + ON_GPU}
    return backends | strict_environment()
