"""One layer by itself, ready to be called: how fast torch can go here at best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from pose.errors import Unsupported

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def prepare(kernel: dict[str, Any], precision: str, device: str, threads: int) -> Callable[[], None]:
    """Return a function that runs `kernel` (see bench.ceilings.kernels) once and returns when it is done.

    Raises Unsupported where torch has no such kernel. TF32 is off.
    """
    _setup(precision, device, threads)
    dtype, layout = PRECISIONS[precision], torch.channels_last
    if "n" in kernel:
        left, right = (torch.randn(kernel["n"], kernel["n"]).to(device, dtype) for _ in range(2))
        return _waiting(lambda: left @ right, device)
    k, channels = kernel["size"], kernel["channels_in"]
    images = torch.randn(kernel["batch"], channels, kernel["height"], kernel["width"])
    weights = torch.randn(kernel["channels_out"], channels, k, k)
    x, w = (a.to(device, dtype, memory_format=layout) for a in (images, weights))
    return _waiting(lambda: torch.nn.functional.conv2d(x, w, padding=k // 2), device)


def _setup(precision: str, device: str, threads: int) -> None:
    if precision not in PRECISIONS:
        raise Unsupported(f"torch times no {precision} kernels here; it times {', '.join(PRECISIONS)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise Unsupported("no CUDA device is visible to torch")
    # Without the instructions a naive loop runs instead, a hundred times slower: no ceiling.
    able = {"bf16": "_is_mkldnn_bf16_supported", "fp16": "_is_mkldnn_fp16_supported"}.get(precision)
    if device == "cpu" and able and not getattr(torch.ops.mkldnn, able)():
        raise Unsupported(f"this processor has no instructions by which oneDNN would run {precision}")
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def _waiting(layer: Callable[[], torch.Tensor], device: str) -> Callable[[], None]:
    @torch.inference_mode()
    def call() -> None:
        layer()
        if device == "cuda":
            torch.cuda.synchronize()

    return call
