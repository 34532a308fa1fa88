"""The machine's ceilings in a session: which are due, what the idle GPU draws, each cell's share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bench.ceilings import peak as peak_
from bench.cells.cell import Cell
from bench.cells.matrix import Matrix
from bench.cells.runtimes import computed_in
from bench.cells.scenarios import SCENARIOS, TIMED
from bench.machine import energy, fingerprint
from bench.run import journal
from bench.run.bench_file import BenchFile, Ceilings, KernelRate
from bench.run.results import CellResult

Rate = TypeVar("Rate", bound=KernelRate)

SECONDS = {"quick": 12.0, "standard": 20.0, "official": 40.0}
"""What measuring them may take, by profile."""


def timed_on(measured: Matrix, device: str) -> list[Cell]:
    """Return the timed cells of a device; none of a GPU that is not here."""
    if device == "cuda" and not fingerprint.gpus():
        return []
    return [cell for cell in measured.cells if cell.device == device and cell.scenario in TIMED]


def measure(measured: Matrix, device: str) -> Ceilings:
    """Return what `bench.ceilings.peak.measure` finds, for the lanes of a matrix on a device."""
    timed = timed_on(measured, device)
    return peak_.measure(
        sorted({cell.threads for cell in timed}),
        # What `defaults` computes in is known afterwards; float32 it mostly is.
        sorted({"fp32" if cell.precision == "defaults" else cell.precision for cell in timed}),
        SECONDS[measured.protocol.profile],
        device=device,
        interpreters=measured.interpreters,
    )


def merged(before: Ceilings | None, now: Ceilings) -> Ceilings:
    """Return what was measured now, with what an earlier session measured for other lanes.

    Each peak says when it was measured and what disturbed that.
    """
    when = journal.now()
    peaks = [msgspec.structs.replace(one, measured=when, doubts=now.doubts) for one in now.peaks]
    if before is None:
        return msgspec.structs.replace(now, peaks=peaks)
    return msgspec.structs.replace(
        now,
        peaks=[*_others(before.peaks, peaks), *peaks],
        kernels=[*_others(before.kernels, now.kernels), *now.kernels],
        bandwidth_gb_s=before.bandwidth_gb_s | now.bandwidth_gb_s,
    )


def _others(before: Sequence[Rate], now: Sequence[Rate]) -> list[Rate]:
    """Return the earlier rates of precisions and thread counts that were not measured now."""
    fresh = {(one.precision, one.threads) for one in now}
    return [one for one in before if (one.precision, one.threads) not in fresh]


def idle_w(measured: Matrix) -> float | None:
    """Return what the idle GPU draws; None without a cell for one, or without a counter."""
    if not any(cell.device == "cuda" for cell in measured.cells):
        return None
    return energy.idle_power_w()[0]


def with_shares(results: Sequence[CellResult], record: BenchFile, macs: int) -> list[CellResult]:
    """Return the cells, each with its share of the peak in bench.json's record, by its one figure.

    macs: multiply-adds of one image. Only where the network alone was timed. A cell that nothing was added
    to keeps the share of the session that measured it.
    """
    made = []
    for result in results:
        axes, rate = result.axes, _images_per_s(result)
        known = record.ceilings(axes.device)
        computed = computed_in(axes.precision, result.effective)
        peak = peak_.peak(known, computed, axes.threads) if known and computed else None
        if rate and peak and "share_of_peak" not in result.stats:
            of_peak = {"share_of_peak": peak_.share(macs, 1, 1 / rate, peak), "peak_gflops": peak}
            result = msgspec.structs.replace(result, stats={**result.stats, **of_peak})
        made.append(result)
    return made


def _images_per_s(result: CellResult) -> float | None:
    """Return the images a second of a cell that times the network alone."""
    value, asked = result.stats.get("value"), SCENARIOS[result.axes.scenario]
    if result.status != "ok" or not value or asked.of != "network":
        return None
    return float(1e3 * result.axes.batch / value if asked.less_is_faster else value)
