"""An IR to one whose convolutions run in int8, by NNCF's post-training quantization."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov

from openvino_impl import convert

PRESET = nncf.QuantizationPreset.PERFORMANCE
"""Symmetric weights and activations; what follows a ReLU has no sign, so nothing is lost to it."""


def to_int8(source: Path, images: np.ndarray, out: Path) -> dict[str, Any]:
    """Write OUT (.xml) and its .bin: the IR at `source`, its ranges measured on images (N, H, W, 3) uint8.

    Weights are quantised by channel, activations by tensor; biases are corrected for what rounding
    moves on average. NNCF imports torch where it is installed: call this in a process of its own.
    Returns the route and what NNCF was told.
    """
    nncf.set_log_level(logging.ERROR)
    network = ov.Core().read_model(source)
    network.reshape([1, *images.shape[1:]])
    quantised = nncf.quantize(
        network,
        nncf.Dataset([images[i : i + 1] for i in range(len(images))]),
        preset=PRESET,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(images),
    )
    convert.save(quantised, out)
    return {"route": "nncf-int8", "nncf": nncf.__version__, "preset": PRESET.value}
