"""parity.json by hand: a ladder that passed, and the changes that make it fail."""

from __future__ import annotations

import hashlib
from typing import Any

from bench.cells.cell import Cell

NAMES = (
    *("Data", "Weights", "Forward", "Loss and gradient"),
    *("Optimizer step", "Trajectory", "Deployment", "Post-processing"),
)
ARTIFACT = "ab" * 32
FLOAT64 = "float64 rounds at 1.1e-16; a wrong constant shows at 1e-8 or more; between them lies the bound"
ROUNDING = "2 x the other twin's error + 1e-7 x rms(reference): no worse than the frameworks' own rounding"
BYTES = "both twins must be fed the same bytes"
COPIES = "loading and reading copy: nothing may be rounded"
STEP = "a step divides by the root of the second moment, which magnifies a gradient's rounding"
DIGIT = "a thousandth is the last printed digit of an AP"


def check(
    name: str,
    measured: float | None,
    bound: float | None,
    reason: str,
    where: str | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Return a check as parity.json has it; one without a bound is reported and not judged."""
    passed = None if bound is None else measured is not None and measured <= bound
    facts = {"name": name, "measured": measured, "bound": bound, "passed": passed}
    return {**facts, "reason": reason, "where": where, "note": note}


def data() -> list[dict[str, Any]]:
    workers = [
        check(f"tf.data against DataLoader, {n} workers: batches that differ", 0.0, 0.0, BYTES)
        for n in range(3)
    ]
    published = "cv2 interpolates at 1/32 of a pixel"
    return [*workers, check("samples against the formulas", 2.1e-7, 1e-6, published, "annotation 183")]


def round_trips() -> list[dict[str, Any]]:
    return [
        check(f"canonical -> {twin}, {p} -> canonical: tensors that differ", 0.0, 0.0, COPIES, None, "122")
        for twin in ("tf", "torch")
        for p in ("float64", "float32")
    ]


def forward() -> list[dict[str, Any]]:
    return [
        check("fp64 heatmaps, evaluation mode", 1.3e-14, 1e-12, FLOAT64, "probe 3"),
        check("fp64 heatmaps, training mode", 4.4e-14, 1e-12, FLOAT64, "probe 0"),
        check("fp32 heatmaps, evaluation mode, tf: rmse to fp64", 3.1e-8, 6.6e-8, ROUNDING),
        check("fp32 heatmaps, evaluation mode, torch: rmse to fp64", 2.9e-8, 6.9e-8, ROUNDING),
    ]


def gradients() -> list[dict[str, Any]]:
    at = "layer1.0.conv1.weight"
    return [
        check("fp64 gradients", 6.8e-13, 1e-11, "a gradient sums rounding backwards", at, "62 parameters"),
        check("fp32 gradients, tf: rmse to fp64 over its bound", 0.71, 1.0, ROUNDING, "bn1.weight"),
    ]


def steps() -> list[dict[str, Any]]:
    walked = [
        check(f"fp64 step {n} from identical state", 3e-13 * 1.4**n, 1e-9, STEP, "conv1.weight")
        for n in range(1, 11)
    ]
    freely = "reported beside: from the second step on the twins no longer start alike"
    return [*walked, check("fp64, 10 steps walked freely", 5.2e-9, None, freely, "conv1.weight")]


def deployment() -> list[dict[str, Any]]:
    return [
        check("torch on openvino, ir, fp32: rmse to fp64", 3.4e-8, 7e-8, ROUNDING),
        check("torch on openvino, ir, fp32: |dAP|", 0.0, 0.001, DIGIT),
        check("tf on openvino, ir, fp32: |dAP|", 0.0002, 0.001, DIGIT),
    ]


def rungs() -> list[dict[str, Any]]:
    """Return eight rungs, the sixth not climbed."""
    formula = check("decode against the transcription", 0.0, 0.0, "the same formula")
    climbed = (data(), round_trips(), forward(), gradients(), steps(), [], deployment(), [formula])
    return [
        {
            "number": number,
            "name": name,
            "status": "pass" if checks else "not climbed",
            "reason": None if checks else "not asked for",
            "wall_s": 12.3 if checks else None,
            "checks": checks,
        }
        for number, (name, checks) in enumerate(zip(NAMES, climbed, strict=True), 1)
    ]


def certificate_id(cell: Cell) -> str:
    """Return the ID of the certificate of a cell's network, runtime, mode and precision."""
    what = "-".join((cell.twin, cell.runtime, cell.mode, cell.precision, cell.device))
    return hashlib.sha256(what.encode()).hexdigest()


def certificate(cell: Cell) -> dict[str, Any]:
    """Return a certificate; a lower precision is reported, with an interval in place of a bound."""
    strict = cell.precision == "fp32"
    return {
        "id": certificate_id(cell),
        **{axis: getattr(cell, axis) for axis in ("twin", "runtime", "mode", "precision", "device")},
        "artifact_sha256": ARTIFACT,
        "status": "pass" if strict else "reported",
        "rmse": 3.2e-8 if strict else 4.1e-4,
        "bound": 6.9e-8 if strict else None,
        "ap": 0.411,
        "dap": 0.0001 if strict else -0.0031,
        "dap_low": None if strict else -0.0071,
        "dap_high": None if strict else 0.0012,
        "reason": None,
        "subject": cell.twin,
        "through": cell.twin if cell.mode == "ir" else None,
        "shift_px": 0.0 if strict else 0.35,
    }


def passed(cells: list[Cell]) -> dict[str, Any]:
    """Return parity.json of a ladder that passed, with a certificate for each kind of cell."""
    kinds = {certificate_id(cell): cell for cell in cells}
    return {
        "schema": 1,
        "id": "5a" * 32,
        "recipe": "demo",
        "command": "twinpose parity runs/demo",
        "started": "2025-01-02T03:24:05+00:00",
        "wall_s": 120.1,
        "status": "pass",
        "versions": {"tensorflow": "2.21.0", "torch": "2.14.1"},
        "weights": {"tf": {"sha256": "cd" * 32, "tensors": {"conv1.weight": "ef" * 32}}},
        "first_failure": None,
        "rungs": rungs(),
        "runtimes": [certificate(cell) for cell in kinds.values()],
    }


def failed(parity: dict[str, Any]) -> dict[str, Any]:
    """Return the same ladder, broken at rung 3 and, by an error that is not a number, at rung 4."""
    broken = rungs()
    broken[2]["checks"][0] |= {"measured": 3.1, "passed": False, "where": "layer1.0.conv1.weight"}
    broken[3]["checks"][0] |= {"measured": None, "passed": False}
    for rung in broken[2:4]:
        rung["status"] = "fail"
    first = {
        "rung": 3,
        "name": "Forward",
        "check": "fp64 heatmaps, evaluation mode",
        "where": "layer1.0.conv1.weight",
    }
    return parity | {"status": "fail", "rungs": broken, "first_failure": first}
