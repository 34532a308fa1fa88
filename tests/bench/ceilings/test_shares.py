"""The machine's ceilings over benches: kept for other lanes; what the lane `defaults` is held against."""

from __future__ import annotations

from typing import Any

import pytest
import run_folders

from bench.ceilings import shares
from bench.run import folder
from bench.run.bench_file import BenchFile, Ceilings, KernelRate, Peak
from pose import architecture


def limits(gflops: float, threads: int, *doubts: str, precision: str = "fp32") -> Ceilings:
    row = {"precision": precision, "threads": threads, "gflops": gflops, "kernel": "3x3", "library": "torch"}
    return Ceilings(
        peaks=[Peak(**row)],
        kernels=[KernelRate(**row)],
        bandwidth_gb_s={str(threads): gflops / 10},
        doubts=list(doubts),
    )


def test_a_lane_that_was_not_measured_now_keeps_its_ceiling() -> None:
    first = shares.merged(None, limits(50.0, 1, "a neighbour"))
    assert [one.doubts for one in first.peaks] == [["a neighbour"]]
    both = shares.merged(first, limits(100.0, 2))
    assert [(one.threads, one.gflops, one.doubts) for one in both.peaks] == [
        (1, 50.0, ["a neighbour"]),
        (2, 100.0, []),
    ]
    assert both.bandwidth_gb_s == {"1": 5.0, "2": 10.0}
    anew = shares.merged(both, limits(60.0, 1))
    assert [(one.threads, one.gflops) for one in anew.peaks] == [(2, 100.0), (1, 60.0)]
    assert len(anew.kernels) == 2
    assert all(one.measured for one in anew.peaks)


@pytest.mark.parametrize(
    ("precision", "read_back", "peak"),
    [
        ("fp32", "f32", 100.0),
        ("defaults", "float32", 100.0),
        ("defaults", "bf16", 300.0),
        ("defaults", "unknown", None),
    ],
)
def test_a_share_is_of_the_peak_of_the_precision_that_was_computed_in(
    run_folder: Any, precision: str, read_back: str, peak: float | None
) -> None:
    axes = run_folders.cell(precision=precision)
    result = run_folders.result(axes, [20.0] * 3, effective={"precision": read_back}, stats={"value": 20.0})
    known = shares.merged(limits(100.0, 2), limits(300.0, 2, precision="bf16"))
    macs = architecture.build(folder.opened(run_folder).recipe.model).macs
    [found] = shares.with_shares([result], BenchFile(limits=known), macs)
    if peak is None:
        assert "share_of_peak" not in found.stats
        return
    assert found.stats["peak_gflops"] == peak
    assert found.stats["share_of_peak"] == pytest.approx(2 * macs / 0.02 / (peak * 1e9))
    [kept] = shares.with_shares([found], BenchFile(limits=limits(50.0, 2)), macs)
    assert kept == found, "of the bench that measured it"
