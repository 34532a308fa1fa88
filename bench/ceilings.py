"""The machine's ceilings in a sitting: which are due, what the idle GPU draws, each cell's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench import energy, limits, machine, store
from bench.contract import TIMED, Cell
from bench.matrix import Matrix
from bench.rundir import RunFolder
from bench.store import CellResult
from pose import architecture

FACTS = {"cpu": "limits", "cuda": "limits_cuda"}
"""By device: where bench.json has its ceilings."""

SECONDS = {"quick": 12.0, "standard": 20.0, "official": 40.0}
"""What measuring them may take, by profile."""


def timed_on(measured: Matrix, device: str) -> list[Cell]:
    """Return the timed cells of a device; none of a GPU that is not here."""
    if device == "cuda" and not machine.gpus():
        return []
    return [cell for cell in measured.cells if cell.device == device and cell.scenario in TIMED]


def measure(measured: Matrix, device: str) -> dict[str, Any]:
    """Return what `limits.measure` does, for the lanes of a matrix on a device."""
    timed = timed_on(measured, device)
    return limits.measure(
        sorted({cell.threads for cell in timed}),
        sorted({cell.precision for cell in timed} - {"defaults"}),
        SECONDS[measured.protocol.profile],
        device=device,
        interpreters=measured.interpreters,
    )


def idle_w(measured: Matrix) -> float | None:
    """Return what the idle GPU draws; None without a cell for one, or without a counter."""
    if not any(cell.device == "cuda" for cell in measured.cells):
        return None
    return energy.idle_power_w()[0]


def with_shares(run: RunFolder, results: Sequence[CellResult], facts: Mapping[str, Any]) -> list[CellResult]:
    """Return the cells, each stored with its share of the peak in bench.json's `facts`.

    Only where the network alone was timed. A cell that nothing was added to keeps the share of the
    sitting that measured it.
    """
    macs = architecture.build(run.recipe.model).macs
    made = []
    for result in results:
        axes, rate = result.axes, _images_per_s(result)
        known = facts.get(FACTS.get(axes.device, ""))
        peak = limits.peak(known, axes.precision, axes.threads, axes.device) if known else None
        if rate and peak and "share_of_peak" not in result.stats:
            share = limits.share(macs, 1, 1 / rate, peak)
            result = msgspec.structs.replace(result, stats={**result.stats, "share_of_peak": share})
            store.save(run.path, result)
        made.append(result)
    return made


def _images_per_s(result: CellResult) -> float | None:
    """Return the images a second of a cell that times the network alone."""
    value = result.stats.get("value")
    if result.status != "ok" or not value:
        return None
    by_scenario = {"latency": 1e3 * result.axes.batch / value, "throughput": value}
    return by_scenario.get(result.axes.scenario)
