"""The conversion child: a twin's best checkpoint to IR and ONNX, each compared with its source."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import Emit, RunnerSpec
from bench.worker import explain, resolve
from pose import inference, recipe, splits
from pose.files import sha256_of_file, write_json

PROBE_IMAGES = 8
FILES = {"ir": "model.xml", "onnx": "model.onnx"}


def convert(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write model.xml (and model.onnx for torch) into `out`; return what conversion.json records.

    The difference is the largest over the heatmaps of the first inputs of the validation part,
    both sides in strict float32; `rms_source` gives it a scale. A format that fails, or that is
    unsupported here, is a route with its reason; the others are still made.
    """
    resolved = recipe.from_dict(payload["recipe"])
    twin, out, weights_path = payload["twin"], Path(payload["out"]), Path(payload["weights"])
    out.mkdir(parents=True, exist_ok=True)
    manifest = splits.read(Path(payload["split"]))
    probe = inference.Inputs(resolved, Path(payload["coco"]), manifest, "val").batch(0, PROBE_IMAGES)
    source = resolve(f"{twin}_impl.export:source")(resolved, weights_path, len(probe))
    reference = source.infer(probe)
    routes = []
    for name in payload["formats"]:
        emit("convert", {"twin": twin, "format": name})
        try:
            routes.append(_route(name, twin, resolved, weights_path, source, probe, reference, out))
        except Exception as error:
            status, reason = explain(error)
            routes.append({"route": name, "file": FILES[name], "status": status, "reason": reason})
    record = {
        "source": twin,
        "checkpoint": weights_path.stem,
        "weights_sha256": sha256_of_file(weights_path),
        "split_sha256": manifest.sha256,
        "probe_images": len(probe),
        "routes": routes,
    }
    write_json(out / "conversion.json", record)
    return record


def _route(
    name: str,
    twin: str,
    resolved: recipe.Recipe,
    weights_path: Path,
    source: Any,
    probe: np.ndarray,
    reference: np.ndarray,
    out: Path,
) -> dict[str, Any]:
    started = time.perf_counter()
    made = _ROUTES[name](twin, resolved, weights_path, source, probe, out)
    difference = float(np.abs(made.pop("heatmaps") - reference).max())
    return made | {
        "status": "ok",
        "sha256": sha256_of_file(out / FILES[name]),
        "max_abs_difference": difference,
        "rms_source": float(np.sqrt(np.mean(reference.astype(np.float64) ** 2))),
        "wall_s": time.perf_counter() - started,
    }


def _ir(
    twin: str, resolved: recipe.Recipe, weights_path: Path, source: Any, probe: np.ndarray, out: Path
) -> dict[str, Any]:
    shape = (1, *probe.shape[1:])
    made: dict[str, Any] = resolve("openvino_impl.convert:to_ir")(source, shape, out / "model.xml")
    heatmaps = resolve("openvino_impl.convert:infer")(out / "model.xml", probe)
    return made | {"file": "model.xml", "input": list(shape), "heatmaps": heatmaps}


def _onnx(
    twin: str, resolved: recipe.Recipe, weights_path: Path, source: Any, probe: np.ndarray, out: Path
) -> dict[str, Any]:
    path = out / "model.onnx"
    made: dict[str, Any] = resolve(f"{twin}_impl.export:to_onnx")(resolved, weights_path, len(probe), path)
    spec = RunnerSpec(resolved.model_dump(mode="json"), str(path), "ir", "fp32", "cpu", 1, len(probe))
    heatmaps = resolve("onnx_impl.runner:Runner")(spec).infer(probe)
    return made | {"file": path.name, "input": list(probe.shape), "heatmaps": heatmaps}


_ROUTES = {"ir": _ir, "onnx": _onnx}
