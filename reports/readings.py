"""What is read off a cell: its place among the others, its figures, or why it has none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.contract import RUNTIMES, Cell
from bench.store import CellResult
from reports.formats import Absent, Noted, Value, coco_number, or_absent

DEVICE_NAMES = {"cpu": "CPU", "cuda": "CUDA GPU", "intel-gpu": "Intel GPU"}
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
MODES = ("eager", "graph", "compiled", "ir")
SCENARIOS = ("latency", "throughput", "accuracy")
VERDICTS = ("VALID", "FLAGGED", "INVALID")
SPELLINGS = {
    "f32": "fp32",
    "float": "fp32",
    "float32": "fp32",
    "f16": "fp16",
    "float16": "fp16",
    "bfloat16": "bf16",
}


def lane(cell: Cell) -> str:
    """Return the heading under which cells share device, precision, threads and allocator."""
    threads = "1 thread" if cell.threads == 1 else f"{cell.threads} threads"
    device = DEVICE_NAMES.get(cell.device, cell.device)
    return f"{device}, {cell.precision}, {threads}, {cell.allocator} allocator"


def lane_key(axes: Cell) -> tuple[str, int, int, str]:
    """Return what orders lanes: CPU before GPUs, fp32 before lower precisions."""
    return axes.device, _rank(axes.precision, PRECISIONS), axes.threads, axes.allocator


def order(axes: Cell) -> tuple[Any, ...]:
    """Return what orders cells: by lane, then runtime, twin and mode."""
    return *lane_key(axes), _rank(axes.runtime, RUNTIMES), axes.twin, _rank(axes.mode, MODES), axes.mode


def _rank(name: str, known: tuple[str, ...]) -> int:
    """Return the place of a name among the known ones; a new one comes last."""
    return known.index(name) if name in known else len(known)


def read_back(result: CellResult) -> str | None:
    """Return the precision that the runtime said it used, in the suite's spelling."""
    said = result.effective.get("precision")
    return None if said is None else SPELLINGS.get(str(said).removeprefix("torch."), str(said))


def accuracy_of(result: CellResult, cells: Iterable[CellResult]) -> CellResult | None:
    """Return the accuracy cell of the same network, runtime, mode, precision and device.

    Threads, allocator and batch do not change an accuracy; the cell nearest in them is taken.
    """

    def key(cell: Cell) -> tuple[str, ...]:
        return cell.twin, cell.runtime, cell.mode, cell.precision, cell.device

    axes = result.axes
    found = [c for c in cells if c.axes.scenario == "accuracy" and key(c.axes) == key(axes)]
    return min(
        found,
        key=lambda c: (
            c.status != "ok",
            c.axes.threads != axes.threads,
            c.axes.allocator != axes.allocator,
            c.id,
        ),
        default=None,
    )


def ap(result: CellResult, cells: Iterable[CellResult]) -> Value:
    """Return the AP that belongs to a cell, or why there is none."""
    scored = accuracy_of(result, cells)
    if scored is None:
        return Absent("the matrix has no accuracy cell for it")
    if scored.status != "ok":
        return failed(scored)
    return coco_number(scored.stats.get("AP"))


def latency(result: CellResult, percentile: str) -> Value:
    """Return p50 or p90 in milliseconds, or why there is none."""
    found = result.stats.get("latency_ms")
    value = found.get(percentile) if isinstance(found, dict) else None
    return _measured(result, value, "latency")


def images_per_s(result: CellResult) -> Value:
    """Return images a second, or why there are none."""
    return _measured(result, result.stats.get("images_per_s"), "throughput")


def _measured(result: CellResult, value: float | None, scenario: str) -> Value:
    if result.status != "ok":
        return failed(result)
    if result.axes.scenario != scenario:
        return Absent(f"measured in the {scenario} cells")
    return or_absent(value, "the cell recorded none")


def failed(result: CellResult) -> Absent:
    """Return the status in place of a figure, and the reason as its footnote."""
    return Absent(f"{result.status}: {result.reason or 'no reason recorded'} ({result.id})", result.status)


def comparable(result: CellResult) -> bool:
    """Return whether a cell's figures may stand beside others'."""
    return result.status == "ok" and result.validity.verdict != "INVALID"


def verdict(result: CellResult) -> Value:
    """Return VALID, FLAGGED or INVALID, with the reasons as a footnote."""
    reasons = "; ".join(result.validity.reasons)
    return Noted(result.validity.verdict, reasons) if reasons else result.validity.verdict
