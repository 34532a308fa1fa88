"""The PyTorch twin as a runner of the bench: eager and compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.contract import RunnerSpec, cxx_compiler
from pose import architecture, recipe, weights
from pose.errors import Unsupported
from torch_impl import model, train

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Runner:
    """One checkpoint in `eager` or `compiled` (torch.compile) mode."""

    def __init__(self, spec: RunnerSpec):
        if spec.mode not in {"eager", "compiled"}:
            raise Unsupported(f"torch has no mode '{spec.mode}'; it has eager and compiled")
        if spec.mode == "compiled" and not cxx_compiler():
            raise Unsupported("torch.compile needs a C++ compiler: neither g++ nor $CXX is on the path")
        train.setup(spec.device, spec.threads, deterministic=False)
        resolved = recipe.from_dict(spec.recipe)
        self.spec, self.device = spec, torch.device(spec.device)
        self.dtype = PRECISIONS[spec.precision]
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

    def effective(self) -> dict[str, Any]:
        """Return what torch says it does, read back."""
        parameter = self.net.final_layer.weight
        return {
            "runtime": f"torch {torch.__version__}",
            "precision": str(parameter.dtype).removeprefix("torch."),
            "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "mode": self.spec.mode,
            "memory_format": "channels_last",
        }
