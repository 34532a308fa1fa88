"""A twin's live object straight to OpenVINO IR."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from bench.contract import Source
from pose.files import write_bytes


def to_ir(source: Source, shape: tuple[int, int, int, int], out: Path) -> dict[str, Any]:
    """Write OUT (.xml) and its .bin, float32, with the static input `shape` (N, H, W, 3); return the route.

    Input and output are named `images` and `heatmaps`. The weights are written first: an IR
    whose .xml is there is whole.
    """
    network = ov.convert_model(
        source.model, input=[(ov.PartialShape(list(shape)), ov.Type.u8)], **source.options
    )
    network.reshape(list(shape))
    network.inputs[0].get_tensor().set_names({"images"})
    network.outputs[0].get_tensor().set_names({"heatmaps"})
    save(network, out)
    return {"route": source.route}


def save(network: ov.Model, out: Path) -> None:
    """Write OUT (.xml) and its .bin, each whole or not at all, the weights first."""
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        temporary = Path(folder) / out.name
        ov.save_model(network, temporary, compress_to_fp16=False)
        write_bytes(out.with_suffix(".bin"), temporary.with_suffix(".bin").read_bytes())
        write_bytes(out, temporary.read_bytes())


def infer(path: Path, images: np.ndarray) -> np.ndarray:
    """Return heatmaps (N, K, h, w) of images (N, H, W, 3), in strict float32 on the CPU."""
    core = ov.Core()
    network = core.read_model(path)
    network.reshape(list(images.shape))
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(images)[0])
