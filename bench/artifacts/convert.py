"""The conversion child: a twin's best checkpoint to IR, ONNX and int8, each compared with its source."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.runtimes import ARTIFACTS
from bench.contract import Emit, RunnerSpec, Source
from bench.process import launch
from bench.process.worker import explain, resolve
from pose import inference, recipe, splits
from pose.errors import Unsupported
from pose.files import sha256_of_bytes, sha256_of_file, write_json

PROBE_IMAGES = 8

CALIBRATION_IMAGES = 300
"""Inputs of the training part that ranges of activations are measured on; NNCF's own default."""
CALIBRATION_SEED = 0


@dataclass(frozen=True, eq=False)
class ConversionJob:
    """What every route converts, and what it is compared with."""

    twin: str
    recipe: recipe.Recipe
    weights: Path
    coco: Path
    manifest: splits.Manifest
    source: Source
    probe: np.ndarray
    """The first inputs (N, H, W, 3) uint8 of the validation part."""
    reference: np.ndarray
    """The source's own heatmaps (N, K, h, w) of them."""
    out: Path

    def file(self, kind: str) -> Path:
        """Return where a kind of artifact is written."""
        return self.out / ARTIFACTS[kind].file


def convert(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write the payload's "formats" (of `ARTIFACTS`) into `out`; return what conversion.json records.

    The difference is the largest over the heatmaps of the first inputs of the validation part, both
    sides in strict float32 but for what int8 quantises; `rms_source` gives it a scale. A format that
    fails, or that is unsupported here, is a route with its reason; the others are still made. A kind
    that is made of another comes after it.
    """
    job = _job(payload)
    routes = []
    for name in payload["formats"]:
        emit("convert", {"twin": job.twin, "format": name})
        try:
            routes.append(_route(name, job))
        except Exception as error:
            status, reason = explain(error)
            routes.append({"route": name, "file": ARTIFACTS[name].file, "status": status, "reason": reason})
    record = {
        "source": job.twin,
        "checkpoint": job.weights.stem,
        "weights_sha256": sha256_of_file(job.weights),
        "split_sha256": job.manifest.sha256,
        "probe_images": len(job.probe),
        "routes": routes,
    }
    write_json(job.out / "conversion.json", record)
    return record


def _job(payload: dict[str, Any]) -> ConversionJob:
    resolved, manifest = recipe.from_dict(payload["recipe"]), splits.read(Path(payload["split"]))
    twin, out, weights = payload["twin"], Path(payload["out"]), Path(payload["weights"])
    out.mkdir(parents=True, exist_ok=True)
    coco = Path(payload["coco"])
    probe = inference.Inputs(resolved, coco, manifest, manifest.at_hand("val")).batch(0, PROBE_IMAGES)
    source = resolve(f"{twin}_impl.export:source")(resolved, weights, len(probe))
    return ConversionJob(twin, resolved, weights, coco, manifest, source, probe, source.infer(probe), out)


def _route(name: str, job: ConversionJob) -> dict[str, Any]:
    started = time.perf_counter()
    wanted = ARTIFACTS[name]
    path = job.out / wanted.file
    if wanted.made_of and not job.file(wanted.made_of).exists():
        absent = ARTIFACTS[wanted.made_of].file
        raise Unsupported(f"{name} is made of {absent}, which this conversion did not leave")
    made: dict[str, Any] = resolve(wanted.maker or "")(job, path)
    difference = float(np.abs(made.pop("heatmaps") - job.reference).max())
    return made | {
        "file": wanted.file,
        "status": "ok",
        "sha256": sha256_of_file(path),
        "max_abs_difference": difference,
        "rms_source": float(np.sqrt(np.mean(job.reference.astype(np.float64) ** 2))),
        "wall_s": time.perf_counter() - started,
    }


def to_ir(job: ConversionJob, path: Path) -> dict[str, Any]:
    """Write the IR of a twin; return its route's facts, and "heatmaps" (N, K, h, w) of the probe."""
    shape = (1, *job.probe.shape[1:])
    made: dict[str, Any] = resolve("openvino_impl.convert:to_ir")(job.source, shape, path)
    return made | {"input": list(shape), "heatmaps": resolve("openvino_impl.convert:infer")(path, job.probe)}


def to_onnx(job: ConversionJob, path: Path) -> dict[str, Any]:
    """Write a twin's own ONNX export; return as `to_ir`."""
    batch = len(job.probe)
    made: dict[str, Any] = resolve(f"{job.twin}_impl.export:to_onnx")(job.recipe, job.weights, batch, path)
    spec = RunnerSpec(job.recipe.model_dump(mode="json"), str(path), "ir", "fp32", "cpu", 1, batch)
    heatmaps = resolve("onnx_impl.runner:Runner")(spec).infer(job.probe)
    return made | {"input": list(job.probe.shape), "heatmaps": heatmaps}


def to_int8(job: ConversionJob, path: Path) -> dict[str, Any]:
    """Write the IR quantised; return as `to_ir`. Its calibration set is of the training part."""
    ir = job.file("ir")
    images, facts = _calibration(job)
    folder = job.out / "int8-child"
    folder.mkdir(exist_ok=True)
    np.save(folder / "images.npy", images)
    # A process of its own: NNCF imports torch, which must not meet TensorFlow or ONNX Runtime in one.
    payload = {"ir": ir.resolve(), "images": (folder / "images.npy").resolve(), "out": path.resolve()}
    made = launch.value_of(launch.call("bench.artifacts.convert:quantize", payload, folder))
    shutil.rmtree(folder)
    heatmaps = resolve("openvino_impl.convert:infer")(path, job.probe)
    return made | {"input": [1, *images.shape[1:]], "calibration": facts, "heatmaps": heatmaps}


def _calibration(job: ConversionJob) -> tuple[np.ndarray, dict[str, Any]]:
    """Return unaugmented inputs (n, H, W, 3) uint8 of the training part, and which they are."""
    if job.manifest.parts.get("train") is None:
        raise Unsupported("int8 is calibrated on images of the training part, which the split has not")
    inputs = inference.Inputs(job.recipe, job.coco, job.manifest, "train")
    count = min(CALIBRATION_IMAGES, len(inputs))
    chosen = np.sort(np.random.default_rng(CALIBRATION_SEED).choice(len(inputs), count, replace=False))
    ids = inputs.dataset.ann_ids[chosen].tolist()
    facts = {
        "part": "train",
        "inputs": count,
        "seed": CALIBRATION_SEED,
        "annotation_ids_sha256": sha256_of_bytes(json.dumps(ids).encode()),
    }
    return inputs.crops(inputs.dataset, inputs.recipe, chosen.tolist()), facts


def quantize(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write the IR "out", quantised from the IR "ir" by the calibration set in "images" (.npy)."""
    ir, images, out = (Path(payload[name]) for name in ("ir", "images", "out"))
    made: dict[str, Any] = resolve("openvino_impl.quantize:to_int8")(ir, np.load(images), out)
    return made
