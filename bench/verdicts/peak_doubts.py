"""What cells say of the machine's ceilings: one that went beyond a peak casts doubt on the peak."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bench.cells.runtimes import computed_in
from bench.doubts import without_figures
from bench.run.bench_file import CEILINGS, BenchFile, Peak
from bench.run.results import CellResult

BEYOND = "a cell ran at {:.1%} of it"


def doubted(record: BenchFile, results: Iterable[CellResult]) -> BenchFile:
    """Return bench.json's record, where a peak that cells went beyond has that doubt, once.

    A share above 100 % says that the ceiling was measured too low, not that a cell is doubtful.
    """
    beyond: dict[tuple[str, str | None, int, float], float] = {}
    for one in results:
        reached = one.stats.get("share_of_peak") or 0.0
        key = (
            one.axes.device,
            computed_in(one.axes.precision, one.effective),
            one.axes.threads,
            one.stats.get("peak_gflops") or 0.0,
        )
        if reached > 1:
            beyond[key] = max(reached, beyond.get(key, 0.0))
    for device in CEILINGS:
        if found := record.ceilings(device):
            peaks = [
                _with_doubt(one, beyond.get((device, one.precision, one.threads, one.gflops)))
                for one in found.peaks
            ]
            record = record.with_ceilings(device, msgspec.structs.replace(found, peaks=peaks))
    return record


def _with_doubt(peak: Peak, reached: float | None) -> Peak:
    """Return a peak with the doubt that a cell reached so much of it, in place of what was said before."""
    beyond = without_figures(BEYOND.format(1.0))
    others = [one for one in peak.doubts if without_figures(one) != beyond]
    return msgspec.structs.replace(peak, doubts=others + ([BEYOND.format(reached)] if reached else []))
