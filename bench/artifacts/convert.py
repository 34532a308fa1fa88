"""The conversion child: from a twin's best checkpoint to what other runtimes load, each past the gate."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.artifacts import calibration, gate
from bench.artifacts.calibration import CalibrationSet
from bench.cells.artifacts import ArtifactFile
from bench.cells.runtimes import first_user
from bench.contract import Emit, Source
from bench.process.worker import explain, resolve
from bench.run import artifacts, conversion
from bench.statistics import rounding
from pose import inference, recipe, splits
from pose.errors import Unsupported, UserError
from pose.files import sha256_of_file, write_json

PROBE_IMAGES = 8


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

    def path(self, file: ArtifactFile) -> Path:
        """Return where a file is written."""
        return self.out / file.name

    @cached_property
    def calibration(self) -> CalibrationSet:
        """Return the calibration set, the same for all that is quantised; its manifest is written too."""
        return calibration.choose(self.recipe, self.coco, self.manifest, self.out)


def convert(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Write the payload's "formats" into `out`; return what conversion.json records.

    A format is a `bench.run.conversion.Format`, after the one that it is made of. The difference is the
    largest over the heatmaps of the first inputs of the validation part; `rms_source` gives it a scale.
    A format that fails, does not pass the gate, or is unsupported here, is a route with its reason and
    leaves no file; the others are still made. What an earlier conversion of the same weights made beside
    stays, in the record too.
    """
    job = _job(payload)
    formats = msgspec.convert(payload["formats"], list[conversion.Format])
    kept = _kept(job, {one.file.name for one in formats})
    routes = []
    for one in formats:
        emit("convert", {"twin": job.twin, "format": one.file.name})
        try:
            routes.append(_route(one, job))
        except Exception as error:
            for part in artifacts.parts(job.path(one.file)):
                part.unlink(missing_ok=True)
            status, reason = explain(error)
            status = "unsupported" if status == "unsupported" else "failed"
            facts = {"route": one.kind, "batch": one.batch, "file": one.file.name}
            routes.append(facts | {"status": status, "reason": reason})
    record = {
        "source": job.twin,
        "checkpoint": job.weights.stem,
        "weights_sha256": sha256_of_file(job.weights),
        "split_sha256": job.manifest.sha256,
        "probe_images": len(job.probe),
        "routes": [*routes, *kept],
    }
    write_json(job.out / "conversion.json", record)
    return record | {"routes": routes}


def _job(payload: dict[str, Any]) -> ConversionJob:
    resolved, manifest = recipe.from_dict(payload["recipe"]), splits.read(Path(payload["split"]))
    twin, out, weights = payload["twin"], Path(payload["out"]), Path(payload["weights"])
    out.mkdir(parents=True, exist_ok=True)
    coco = Path(payload["coco"])
    probe = inference.Inputs(resolved, coco, manifest, manifest.at_hand("val")).batch(0, PROBE_IMAGES)
    source = resolve(f"{twin}_impl.export:source")(resolved, weights, len(probe))
    return ConversionJob(twin, resolved, weights, coco, manifest, source, probe, source.infer(probe), out)


def _kept(job: ConversionJob, made_anew: Collection[str]) -> list[dict[str, Any]]:
    """Return the routes of an earlier conversion that still hold; what it made of other weights goes."""
    try:
        before = conversion.read_folder(job.out)
    except UserError:  # damaged: it is written anew
        before = None
    if before is None:
        return []
    others = [one for one in before.routes if one.file and one.file not in made_anew]
    if before.weights_sha256 == sha256_of_file(job.weights):
        return [msgspec.to_builtins(one) for one in others if (job.out / str(one.file)).exists()]
    for one in others:
        for part in artifacts.parts(job.out / str(one.file)):
            part.unlink(missing_ok=True)
    return []


def _route(wanted: conversion.Format, job: ConversionJob) -> dict[str, Any]:
    started = time.perf_counter()
    file, path = wanted.file, job.path(wanted.file)
    if file.source and not job.path(file.source).exists():
        absent = file.source.name
        raise Unsupported(f"{file.kind} is made of {absent}, which this conversion did not leave")
    made: dict[str, Any] = resolve(file.artifact.maker or "")(job, file)
    convert_s = time.perf_counter() - started
    resolved = job.recipe.model_dump(mode="json")
    seen = gate.passed(file, path, resolved, job.probe, job.reference, wanted.batches or [1, len(job.probe)])
    return made | {
        "batch": file.batch,
        "file": file.name,
        "bytes": sum(part.stat().st_size for part in artifacts.parts(path) if part.exists()),
        "status": "ok",
        "sha256": sha256_of_file(path),
        "max_abs_difference": max(one["max_abs_difference"] for one in seen["checks"]),
        "rms_source": rounding.rms(job.reference),
        "gate": seen,
        "convert_s": convert_s,
        "wall_s": time.perf_counter() - started,
    }


def to_ir(job: ConversionJob, file: ArtifactFile) -> dict[str, Any]:
    """Write the IR of a twin; return its route's facts."""
    shape = (1, *job.probe.shape[1:])
    made: dict[str, Any] = resolve("openvino_impl.convert:to_ir")(job.source, shape, job.path(file))
    return made | {"input": list(shape)}


def to_onnx(job: ConversionJob, file: ArtifactFile) -> dict[str, Any]:
    """Write a twin's own ONNX export; return as `to_ir`."""
    batch, path = len(job.probe), job.path(file)
    made: dict[str, Any] = resolve(f"{job.twin}_impl.export:to_onnx")(job.recipe, job.weights, batch, path)
    return made | {"input": list(job.probe.shape)}


def to_int8(job: ConversionJob, file: ArtifactFile) -> dict[str, Any]:
    """Write the IR quantised; return as `to_ir`."""
    assert file.source
    images, ir = job.calibration.images, job.path(file.source)
    # A process of its own: NNCF imports torch, which must not meet TensorFlow or ONNX Runtime in one.
    made = calibration.quantise_apart("openvino_impl.quantize:to_int8", ir, images, job.path(file))
    return made | {"input": [1, *images.shape[1:]], "calibration": job.calibration.facts()}


def to_aot(job: ConversionJob, file: ArtifactFile) -> dict[str, Any]:
    """Write a package of AOTInductor for a batch and a precision; return as `to_ir`."""
    _, _, precision = first_user(file.kind)
    assert file.batch
    made: dict[str, Any] = resolve("torch_impl.aot:write")(
        job.recipe, job.weights, file.batch, precision, job.path(file)
    )
    return made
