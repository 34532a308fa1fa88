"""One layer by itself, ready to be called: how fast OpenVINO can go here at best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from pose.errors import Unsupported

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""INFERENCE_PRECISION_HINT of each precision; int8 is in the graph, as quantization puts it there."""
EXECUTED = {"fp32": {"f32"}, "bf16": {"bf16"}, "fp16": {"f16"}, "int8": {"i8", "u8"}}
DEVICES = {"cpu": "CPU", "intel-gpu": "GPU"}


def prepare(kernel: dict[str, Any], precision: str, device: str, threads: int) -> Callable[[], None]:
    """Return a function that runs `kernel` (see bench.ceilings.kernels) once and returns when it is done.

    Raises Unsupported where OpenVINO would run it in another precision: the compiled graph tells.
    """
    core = ov.Core()
    if DEVICES.get(device) not in {name.split(".")[0] for name in core.available_devices}:
        raise Unsupported(f"OpenVINO has no device for '{device}' on this machine")
    properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    if device == "cpu":
        properties |= {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    compiled = core.compile_model(_network(kernel, precision), DEVICES[device], properties)
    ran = executed(compiled)
    if not ran <= EXECUTED[precision]:
        raise Unsupported(f"asked for {precision}, OpenVINO would run {', '.join(sorted(ran))} on {device}")
    request = compiled.create_infer_request()
    # A tensor is set once: the call then copies nothing.
    request.set_input_tensor(ov.Tensor(_random(compiled.input(0).shape)))
    return request.infer


def executed(compiled: ov.CompiledModel) -> set[str]:
    """Return the precisions in which the compiled graph runs its matrix products and convolutions."""
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kinds = [(str(info["layerType"].value), str(info["runtimePrecision"].value)) for info in infos]
    return {
        kind
        for layer, kind in kinds
        if layer in {"FullyConnected", "MatMul", "Convolution", "GroupConvolution"}
    }


def _network(kernel: dict[str, Any], precision: str) -> ov.Model:
    """Return one layer with constant weights, between quantizers where the precision is int8."""
    if "n" in kernel:
        given = held = [kernel["n"], kernel["n"]]
    else:
        k, channels = kernel["size"], kernel["channels_in"]
        given = [kernel["batch"], channels, kernel["height"], kernel["width"]]
        held = [kernel["channels_out"], channels, k, k]
    entry = ops.parameter(given, np.float32, name="x")
    x, w = entry, ops.constant(_random(held))
    if precision == "int8":
        x, w = _quantized(x, 0.0, 2.55, 256), _quantized(w, -1.27, 1.27, 255)
    if "n" in kernel:
        result = ops.matmul(x, w, False, False)
    else:
        pad = [kernel["size"] // 2] * 2
        result = ops.convolution(x, w, [1, 1], pad, pad, [1, 1])
    return ov.Model([result], [entry], kernel["name"])


def _quantized(node: Any, low: float, high: float, levels: int) -> Any:
    ends = [np.float32(low), np.float32(high)] * 2
    return ops.fake_quantize(node, *ends, levels)


def _random(shape: Any) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(tuple(shape), dtype=np.float32)
