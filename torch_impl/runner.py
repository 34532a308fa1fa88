"""The PyTorch twin as a runner of the bench: eager, compiled as it runs, or compiled ahead of time."""

from __future__ import annotations

import os
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.contract import STRICT_ENVIRONMENT, RunnerSpec, cxx_compiler, strict_environment
from pose import architecture, interface, recipe, weights
from pose.errors import Unsupported
from torch_impl import aot, model

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


MODES = {
    "eager": torch.channels_last,
    "contiguous": torch.contiguous_format,
    "compiled": torch.channels_last,
    "aot": torch.channels_last,
}
"""How each mode lays out parameters and activations. The images are NHWC: channels_last copies nothing."""


class Runner:
    """One checkpoint in `eager`, `contiguous` or `compiled` (torch.compile) mode, or one package in `aot`."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode not in MODES:
            raise Unsupported(f"torch has no mode '{spec.mode}'; it has {', '.join(MODES)}")
        if spec.mode == "compiled" and not cxx_compiler():
            raise Unsupported("torch.compile needs a C++ compiler: neither g++ nor $CXX is on the path")
        self.dtype = _parameters_in(spec.precision)
        if spec.mode == "aot":
            aot.require_made(spec.precision, spec.device)
        _prepare(spec)
        self.spec, self.device = spec, torch.device(spec.device)
        if spec.mode == "aot":
            self.package = aot.read(Path(spec.artifact))
            aot.require(Path(spec.artifact), self.package, spec.precision, spec.batch)
            self.forward = aot.load(Path(spec.artifact))
        else:
            self.net = self._net()
            self.forward = torch.compile(self.net) if spec.mode == "compiled" else self.net

    def _net(self) -> model.PoseNet:
        resolved = recipe.from_dict(self.spec.recipe)
        net = model.build(resolved, self.spec.device)
        model.load_weights(net, weights.load(Path(self.spec.artifact), architecture.build(resolved.model)))
        net = net.to(self.dtype, memory_format=MODES[self.spec.mode])
        if self.spec.mode == "contiguous":
            # The images' own layout would decide that of every activation.
            net.conv1.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))
        return net

    @torch.inference_mode()
    def _run(self, images: np.ndarray) -> torch.Tensor:
        count = len(images)
        if self.spec.mode == "aot":
            images = self._whole(images)
        found = self.forward(torch.from_numpy(images).to(self.device, non_blocking=True))
        return found[:count].float()

    def _whole(self, images: np.ndarray) -> np.ndarray:
        """Return images (B, H, W, 3), filled up with black ones: a package's batch is static."""
        width, height = self.spec.recipe["model"]["input_size"]
        interface.require_images(images, (self.spec.batch, height, width, 3))
        missing = self.spec.batch - len(images)
        return np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else images

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
        on_gpu = self.device.type == "cuda"
        return {
            "runtime": f"torch {torch.__version__}",
            "precision": self._precision(),
            "switches": switches(),
            "onednn": onednn(),
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "device_clock": "CUDA events" if on_gpu else "none: on the CPU the host's clock is the device's",
            "mode": self.spec.mode,
            "memory_format": str(MODES[self.spec.mode]).removeprefix("torch."),
            **(aot.effective(self.package) if self.spec.mode == "aot" else {}),
        }

    def _precision(self) -> str:
        if self.spec.mode == "aot":
            return self.package.dtype
        return str(self.net.final_layer.weight.dtype).removeprefix("torch.")


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
