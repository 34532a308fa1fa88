"""What is read off a cell: its place among the others, its figures, or why it has none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from statistics import median
from typing import Any

from bench.cells.cell import Cell, Lane
from bench.cells.runtimes import MODES, PRECISIONS, RUNTIMES
from bench.cells.scenarios import ACCURACY, LATENCY, SCENARIOS, THROUGHPUT
from bench.run.results import CellResult
from reports.formats import TWIN_NAMES, Absent, Noted, Value, coco_number, device, or_absent, runtime

RATES = {one.name: one.counted for one in SCENARIOS.values() if one.counted}
"""By scenario whose value is a rate, what is counted in a second; the others' is a time in ms."""
VERDICTS = ("VALID", "FLAGGED", "INVALID")


def name(cell: Cell) -> str:
    """Return a cell's short name: PyTorch eager, TensorFlow on OpenVINO, PyTorch eager again."""
    own = cell.runtime == cell.twin
    on = runtime(cell.runtime)
    said = f"{on} {cell.mode}" if own else f"{TWIN_NAMES[cell.twin]} on {on}"
    return f"{said} again" if cell.replica else said


def lane(cell: Cell) -> str:
    """Return the heading under which cells share device, numerics, threads and allocator."""
    return f"{device(cell.device)}, {cell.numerics}, {threads(cell)}, {cell.allocator} allocator"


def heading(found: Lane) -> str:
    """Return the whole name of a lane: Latency, CPU, strict-fp32, batch 1, 2 threads, glibc allocator."""
    where = f"{device(found.device)}, {found.numerics}, batch {found.batch}, {threads(found)}"
    return f"{found.scenario.capitalize()}, {where}, {found.allocator} allocator"


def threads(found: Cell | Lane) -> str:
    """Return a thread count in words: 1 thread, 2 threads."""
    return "1 thread" if found.threads == 1 else f"{found.threads} threads"


def lane_key(axes: Cell) -> tuple[str, int, int, str]:
    """Return what orders lanes: CPU before GPUs, fp32 before lower precisions."""
    return axes.device, _rank(axes.precision, PRECISIONS), axes.threads, axes.allocator


def full_lane_key(axes: Cell) -> tuple[Any, ...]:
    """Return what orders whole lanes: by scenario, then as `lane_key`, then by batch."""
    return _rank(axes.scenario, SCENARIOS), *lane_key(axes), axes.batch


def order(axes: Cell) -> tuple[Any, ...]:
    """Return what orders cells: by lane, then runtime, twin and mode."""
    return *lane_key(axes), _rank(axes.runtime, RUNTIMES), axes.twin, _rank(axes.mode, MODES), axes.mode


def _rank(name: str, known: Collection[str]) -> int:
    """Return the place of a name among the known ones; a new one comes last."""
    return list(known).index(name) if name in known else len(known)


def accuracy_of(result: CellResult, cells: Iterable[CellResult]) -> CellResult | None:
    """Return the accuracy cell of the same network, runtime, mode, precision and device.

    Threads, allocator and batch do not change an accuracy; the cell nearest in them is taken.
    """

    def key(cell: Cell) -> tuple[str, ...]:
        return cell.twin, cell.runtime, cell.mode, cell.precision, cell.device

    def apart(other: CellResult) -> tuple[bool, bool, bool, str]:
        threads, allocator = other.axes.threads != axes.threads, other.axes.allocator != axes.allocator
        return other.status != "ok", threads, allocator, other.id

    axes = result.axes
    found = [c for c in cells if c.axes.scenario == ACCURACY.name and key(c.axes) == key(axes)]
    return min(found, key=apart, default=None)


def ap(result: CellResult, cells: Iterable[CellResult]) -> Value:
    """Return the AP that belongs to a cell, or why there is none."""
    scored = accuracy_of(result, cells)
    if scored is None:
        return Absent("the matrix has no accuracy cell for it")
    if scored.status != "ok":
        return failed(scored)
    return coco_number(scored.stats.get("AP"))


def value(result: CellResult) -> float | None:
    """Return what a cell's rounds come to, in its scenario's unit: what is compared."""
    found = result.stats.get("value")
    if found is None and (by := result.stats.get(SCENARIOS[result.axes.scenario].figure)) is not None:
        found = by.get("p50") if isinstance(by, dict) else by
    return float(found) if isinstance(found, int | float) else None


def latency(result: CellResult, percentile: str) -> Value:
    """Return a percentile of a query in milliseconds, or why there is none.

    "p50" is the cell's figure, the geometric mean of its rounds' medians; p90 and p99 pool their queries.
    """
    asked = SCENARIOS[result.axes.scenario]
    wanted = asked if asked.less_is_faster else LATENCY
    found = result.stats.get(wanted.figure)
    value = found.get(percentile) if isinstance(found, dict) else None
    return _measured(result, value, wanted.name, percentile)


def rate(result: CellResult, scenario: str | None = None) -> Value:
    """Return images, steps or samples a second, as the cell's scenario has it, or why there is none."""
    wanted = scenario or result.axes.scenario
    if wanted not in RATES:
        return Absent(f"measured in the {THROUGHPUT.name} cells")
    figure = SCENARIOS[wanted].figure
    return _measured(result, result.stats.get(figure), wanted, figure)


def _measured(result: CellResult, value: float | None, scenario: str, key: str) -> Value:
    if result.status != "ok":
        return failed(result)
    if result.axes.scenario != scenario:
        return Absent(f"measured in the {scenario} cells")
    return or_absent(value, null_reason(result, key))


def null_reason(result: CellResult, key: str, otherwise: str = "the cell recorded none") -> str:
    """Return why a figure of a cell is null, in the bench's words where it gave any."""
    nulls = result.stats.get("nulls")
    return str(nulls.get(key) or otherwise) if isinstance(nulls, dict) else otherwise


def interval(result: CellResult) -> tuple[float, float] | str:
    """Return the 95 % interval of a cell's value over its rounds, in its unit, or why there is none."""
    found = result.stats.get("interval")
    if isinstance(found, list) and len(found) == 2:
        return float(found[0]), float(found[1])
    if result.axes.scenario == ACCURACY.name:
        return "an accuracy is measured once: it does not change between rounds"
    if len(result.rounds) < 2:
        return f"{len(result.rounds)} round: an interval over rounds needs two"
    return null_reason(result, "interval")


def most(result: CellResult, name: str) -> int | None:
    """Return the largest of the rounds' figures of that name, such as peak_memory_bytes; None without any."""
    return max((value for one in result.rounds if (value := getattr(one, name)) is not None), default=None)


def cores_used(result: CellResult) -> float | None:
    """Return the median over rounds of the cores that a cell kept busy; None where no round says."""
    seen = [
        used for one in result.rounds if isinstance(used := one.conditions.get("cores_used"), int | float)
    ]
    return float(median(seen)) if seen else None


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
