"""Runs of a few cells, made in memory: what the answers are asked of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ladder_files
import msgspec

from bench.cells.cell import Cell
from bench.doubts import doubt
from bench.parity.certificate import Parity
from bench.run.bench_file import BenchFile, NoiseFloor, NoiseLook
from bench.run.results import CellResult, Round
from bench.statistics.validity import Validity
from bench.verdicts.ap_differences import ApDifference
from bench.verdicts.comparisons import Comparison
from reports.run.read import Run

TORCH = Cell("torch", "torch", "eager", "fp32", "cpu", 1, 2, "glibc", "latency")
KERAS = replace(TORCH, twin="tf", runtime="tf", mode="graph")
ONNX = replace(TORCH, runtime="onnxruntime", mode="ir")
OPENVINO = replace(TORCH, runtime="openvino", mode="ir")
BF16 = replace(OPENVINO, precision="bf16")
INT8 = replace(OPENVINO, precision="int8")


def cell(axes: Cell, value: float, **more: Any) -> CellResult:
    """Return a measured cell of three rounds about a value: ms of a query, or a rate."""
    rounds = [
        Round({}, 100, 2.0, "2026-01-01T00:00:00+00:00", number, f"s/{axes.lane.id}/{number}", value * pace)
        for number, pace in enumerate((0.99, 1.0, 1.01), 1)
    ]
    facts: dict[str, Any] = {
        "status": "ok",
        "reason": None,
        "rounds": rounds,
        "stats": {"value": value, "interval": [value * 0.97, value * 1.03]},
        "certificate_id": ladder_files.certificate_id(axes),
        "artifact_sha256": ladder_files.ARTIFACT,
        **more,
    }
    return CellResult(id=axes.id, axes=axes, hash="h", split_sha256="s", command="twinpose bench", **facts)


def scattered(found: CellResult, times: float) -> CellResult:
    """Return a cell whose rounds scatter so far about 10 ms that none in reason tell it from its like."""
    paces = (1.0, 1.3, 0.8) if times == 1.0 else (1.25, 0.85, 1.0)
    rounds = [
        msgspec.structs.replace(one, value=10.0 * times * pace)
        for one, pace in zip(found.rounds, paces, strict=True)
    ]
    return msgspec.structs.replace(found, rounds=rounds, stats={**found.stats, "value": 10.0 * times})


def scored(axes: Cell, ap: float = 0.4) -> CellResult:
    """Return the accuracy cell of what a cell runs."""
    return cell(replace(axes, scenario="accuracy", batch=8), 0.0, stats={"AP": ap}, certificate_id=None)


def invalid(found: CellResult) -> CellResult:
    return msgspec.structs.replace(found, validity=Validity.of(doubt("wild", 0.31)))


def failed(axes: Cell, status: str = "failed", reason: str = "it broke") -> CellResult:
    return cell(axes, 0.0, status=status, reason=reason, rounds=[], stats={})


def compare(
    a: Cell, b: Cell, speedup: float, verdict: str | None, wide: float = 1.05, **more: Any
) -> Comparison:
    """Return a comparison of two cells of a lane whose interval reaches `wide` to both sides."""
    ends = (speedup / wide, speedup * wide)
    facts: dict[str, Any] = {"speedup": speedup, "speedup_interval": ends, "ratio": 1 / speedup, **more}
    facts |= {"interval": (1 / ends[1], 1 / ends[0]), "verdict": verdict, "p_holm": 0.01}
    return Comparison(lane=a.lane.id, set="as_shipped", a=a.id, b=b.id, scenario=a.scenario, n=3, **facts)


def deployed(axes: Cell, low: float, high: float, verdict: str, margin: float = 0.01) -> ApDifference:
    """Return how the AP of what a cell runs differs from that of its twin's own framework."""
    source = TORCH if axes.twin == "torch" else KERAS
    apart = (low + high) / 2
    a, b = (replace(one, scenario="accuracy", batch=8).id for one in (axes, source))
    facts = {"ap_a": 0.4 + apart, "ap_b": 0.4, "difference": apart, "interval": (low, high)}
    return ApDifference(question="deployment", a=a, b=b, margin=margin, verdict=verdict, images=80, **facts)


def twins(ap_tf: float, ap_torch: float, low: float, high: float, verdict: str) -> ApDifference:
    """Return how the two trainings' APs differ."""
    a, b = (replace(one, scenario="accuracy", batch=8).id for one in (KERAS, TORCH))
    facts: dict[str, Any] = {"ap_a": ap_tf, "ap_b": ap_torch, "difference": ap_tf - ap_torch}
    facts |= {"interval": (low, high), "margin": 0.01, "verdict": verdict, "images": 80}
    return ApDifference(question="twins", a=a, b=b, **facts)


def parity(cells: list[CellResult]) -> Parity:
    """Return a ladder that passed and covers the cells."""
    return msgspec.convert(ladder_files.passed([one.axes for one in cells]), Parity)


def bench(verdict: str = "VALID", low: float = 0.98, high: float = 1.03) -> BenchFile:
    """Return bench.json with an A/A pair."""
    look = NoiseLook(a="x-again", b="x-latency", n=3, ratio=1.0, interval=(low, high))
    reasons = [] if verdict == "VALID" else ["x against itself misses 1"]
    return BenchFile(noise=NoiseFloor([look], verdict, reasons, look.resolution))


def run(*cells: CellResult, **more: Any) -> Run:
    """Return a run of the cells, certified and with a noise floor that holds 1."""
    facts = {"command": "twinpose run --recipe demo --out runs/demo", "twinpose": "0.1.0"}
    defaults = {"parity": parity(list(cells)), "bench": bench()}
    return Run(Path("runs/demo"), facts, cells=cells, **{**defaults, **more})


def shipped(**more: Any) -> Run:
    """Return a run of four runtimes as shipped at batch 1, OpenVINO ahead of all, with known APs."""
    found = [cell(TORCH, 20.0), cell(KERAS, 25.0), cell(ONNX, 15.0), cell(OPENVINO, 10.0)]
    found += [scored(one) for one in (TORCH, KERAS, ONNX, OPENVINO)]
    pairs = (
        compare(KERAS, TORCH, 0.8, "slower"),
        compare(ONNX, TORCH, 1.33, "faster"),
        compare(OPENVINO, TORCH, 2.0, "faster"),
        compare(OPENVINO, ONNX, 1.5, "faster"),
        compare(ONNX, KERAS, 1.67, "faster"),
        compare(OPENVINO, KERAS, 2.5, "faster"),
    )
    known = (
        deployed(OPENVINO, -0.0002, 0.0002, "equal", 0.001),
        deployed(ONNX, -0.0001, 0.0001, "equal", 0.001),
    )
    return run(*found, **{"comparisons": pairs, "accuracies": known, **more})


def other_verdict(found: Run, a: Cell, b: Cell, speedup: float, verdict: str | None) -> Run:
    """Return the run with another comparison of two cells."""
    kept = [one for one in found.comparisons or () if (one.a, one.b) != (a.id, b.id)]
    return replace(found, comparisons=(*kept, compare(a, b, speedup, verdict)))
