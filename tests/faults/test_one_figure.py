"""A4: what is printed, compared and given an interval is one number."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import run_folders

from bench.ceilings import shares
from bench.cells.protocol import Protocol
from bench.run import results
from bench.run.bench_file import BenchFile, Ceilings, Peak
from bench.run.results import CellResult
from bench.verdicts import cell_figures, peak_doubts
from pose.files import read_json
from reports.words import cells

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "run"
PEAK = Ceilings(
    peaks=[
        Peak(
            precision="fp32", threads=2, gflops=399.6, kernel="conv", library="torch", doubts=["a neighbour"]
        )
    ]
)
PROTOCOL = Protocol(profile="quick")
MS = 1_000_000


def measured(*of_rounds: np.ndarray) -> CellResult:
    """Return a latency cell whose rounds have these durations (n_r,) in nanoseconds."""
    axes = run_folders.cell("latency")
    made = run_folders.result(axes, [float(np.median(one)) / MS for one in of_rounds])
    stats = cell_figures.figures(axes, PROTOCOL, made.rounds, [{"latency_ns": one} for one in of_rounds])
    return msgspec.structs.replace(made, stats=stats)


FAST, SLOW = np.full(1000, 5 * MS), np.full(90, 11 * MS)


def test_the_printed_median_is_the_middle_of_its_printed_interval() -> None:
    one = measured(FAST, FAST, SLOW)
    low, high = one.stats["interval"]
    shown = cells.latency(one, "p50")
    assert shown == one.stats["value"] == pytest.approx((5 * 5 * 11) ** (1 / 3))
    assert low < shown < high
    assert shown == pytest.approx((low * high) ** 0.5)


def test_a_fast_round_with_more_queries_weighs_no_more_than_a_slow_one() -> None:
    one = measured(FAST, SLOW)
    assert one.stats["latency_ms"]["p90"] == 11.0, "half of the weight is the slow round's"
    assert one.stats["latency_ms"]["mean"] == 8.0
    few = measured(FAST, SLOW[:10])
    assert few.stats["latency_ms"]["p90"] is None
    assert few.stats["nulls"]["p90"] == "39 queries of equal weight, of 1010 in unequal rounds, needs 64"


def test_a_median_that_an_older_version_pooled_is_read_as_the_one_figure(tmp_path: Path) -> None:
    name = "torch-openvino-ir-fp32-cpu-b1-t2-glibc-latency"
    run = tmp_path / "run"
    shutil.copytree(GOLDEN, run)
    stored = read_json(results.path_of(run, name), "a cell")
    read = results.read(results.path_of(run, name))
    assert stored["stats"]["latency_ms"]["p50"] != stored["stats"]["value"]
    assert read.stats["latency_ms"]["p50"] == pytest.approx(stored["stats"]["value"], rel=1e-12)
    low, high = read.stats["interval"]
    assert low <= read.stats["latency_ms"]["p50"] <= high


def test_a_share_of_the_peak_is_of_the_printed_figure() -> None:
    [one] = shares.with_shares([measured(FAST, FAST, SLOW)], BenchFile(limits=PEAK), macs=5 * 10**8)
    assert one.stats["share_of_peak"] == pytest.approx(1e9 / (one.stats["value"] / 1e3) / 399.6e9)


def test_a_share_above_all_of_it_is_a_doubt_about_the_ceiling_said_once() -> None:
    fast = shares.with_shares([measured(FAST), measured(FAST), measured(SLOW)], BenchFile(limits=PEAK), 10**9)
    assert [one.validity.verdict for one in fast] == ["VALID"] * 3
    record = peak_doubts.doubted(BenchFile(limits=PEAK), fast)
    assert record.limits
    assert record.limits.peaks[0].doubts == ["a neighbour", "a cell ran at 100.1% of it"]
    assert peak_doubts.doubted(record, fast) == record, "said once"
    assert peak_doubts.doubted(record, fast[2:]) == BenchFile(limits=PEAK), "and no longer than it holds"
