"""The machine's ceiling: the best of several layers through several libraries, and memory bandwidth."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ceilings import bandwidth, kernels, peak
from bench.doubts import older
from bench.run.bench_file import Ceilings, Peak

TESTS = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", TESTS)
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setattr(bandwidth, "LEAST_BYTES", 2**20)
    monkeypatch.setattr(bandwidth.fingerprint, "last_cache_bytes", lambda: 0)


def measured(libraries: dict[str, str], **options: Any) -> Ceilings:
    found = {name: f"peak_fakes:{function}" for name, function in libraries.items()}
    asked = {"threads_list": [1, 2], "precisions": ["fp32", "int8"], "budget_s": 12.0} | options
    return peak.measure(**asked, libraries=found)


def test_the_peak_is_the_best_layer_of_the_best_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "START_S", dict.fromkeys("abc", 0.5))
    found = measured({"a": "steady", "b": "crashes", "c": "absent"})
    assert (
        msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(found), allow_nan=False)), Ceilings)
        == found
    )
    assert [(row.precision, row.threads) for row in found.peaks] == [("fp32", 1), ("fp32", 2)]
    assert {row.library for row in found.peaks} == {"a"}
    for row in found.peaks:
        of_group = [k.gflops for k in found.kernels if k.threads == row.threads]
        assert row.gflops == max(of_group)
        # A sleep is never shorter than asked for, so the fake's speed is a ceiling of what is seen.
        assert 0 < row.gflops <= 2000 * row.threads * 1.01
    assert found.reasons["a int8"] == "no int8 here"
    assert "exit code 3" in found.reasons["b"]
    assert found.reasons["c"].startswith("torch is not installed")
    assert found.bandwidth_gb_s.keys() == {"1", "2"}
    assert all(rate > 0 for rate in found.bandwidth_gb_s.values())


def test_what_disturbed_the_measurement_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        peak.conditions, "doubts", lambda before, after: [older(f"{after.cpus == before.cpus}")]
    )
    assert measured({}, threads_list=[1], budget_s=0.1).doubts == ["True"]


def test_a_library_without_time_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "START_S", {"a": 0.1, "b": 1000.0})
    found = measured({"a": "steady", "b": "steady"}, threads_list=[2], precisions=["fp32"], budget_s=3.0)
    assert {row.library for row in found.kernels} == {"a"}
    assert found.reasons["b"] == "no time for 2 thread(s) in 3 s; a longer budget measures it"
    assert peak.peak(found, "fp32", 2) == found.peaks[0].gflops


def test_a_peak_that_was_not_measured_is_none() -> None:
    row = Peak(precision="fp32", threads=2, gflops=9.0, kernel="3x3", library="torch")
    found = Ceilings(device="cpu", peaks=[row])
    assert peak.peak(found, "fp32", 2) == 9.0
    for asked in (("bf16", 2), ("fp32", 1)):
        assert peak.peak(found, *asked) is None


def test_a_library_with_one_thread_count_gets_a_child_for_each() -> None:
    jobs = peak.children(["torch", "tf"], [1, 2])
    assert [(job.library, job.threads) for job in jobs] == [("torch", (1, 2)), ("tf", (2,)), ("tf", (1,))]


@given(st.integers(1, 40), st.floats(0, 100), st.integers(0, 1))
def test_what_fits_is_the_first_children_and_the_most_of_them(
    layers: int, seconds: float, least: int
) -> None:
    jobs = peak.children(peak.LIBRARIES, [1, 2, 8])
    kept = peak.fit(jobs, layers, seconds, least)
    assert kept == jobs[: len(kept)]
    assert len(kept) >= least
    if len(kept) > least:
        assert sum(job.least_s(layers) for job in kept) <= seconds
    if len(kept) < len(jobs):
        assert sum(job.least_s(layers) for job in jobs[: len(kept) + 1]) > seconds


def test_a_share_of_the_peak_counts_two_operations_a_multiply_add() -> None:
    assert peak.share(macs=50_000_000_000, batch=2, seconds=4.0, peak=100.0) == pytest.approx(0.5)


def test_flop_are_those_of_the_direct_algorithm() -> None:
    by_name = {kernel["name"]: kernel for kernel in kernels.kernels("cpu", 2)}
    assert kernels.flop(by_name["matmul 1024"]) == 2 * 1024**3
    assert kernels.flop(by_name["conv 3x3 64-64 64x48 b2"]) == 2 * 2 * 64 * 48 * 9 * 64 * 64
    assert kernels.flop(by_name["conv 1x1 256-1024 16x12 b4"]) == 2 * 4 * 16 * 12 * 256 * 1024


def test_every_precision_and_thread_count_is_timed_even_when_time_is_up() -> None:
    payload = {"prepare": "peak_fakes:steady", "device": "cpu", "threads": [1, 2]}
    payload |= {"precisions": ["fp32", "bf16"], "until_s": time.monotonic() - 1}
    found = kernels.time_all(payload, lambda name, fields: None)["kernels"]
    assert len(found) == 4
    assert {(row["precision"], row["threads"]) for row in found} == {
        (p, t) for p in ("fp32", "bf16") for t in (1, 2)
    }
    assert json.dumps(found)


def test_the_first_call_is_not_timed() -> None:
    calls: list[float] = []

    def build() -> Any:
        return lambda: (time.sleep(0.0 if calls else 0.3), calls.append(1.0))

    assert kernels.shortest(build, 0.0) < 0.3
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("cache", "memory", "size"),
    [(0, 2**40, 64 * 2**20), (2**25, 2**40, 2**27), (2**25, 2**30, 2**26)],
)
def test_arrays_are_beyond_the_cache_and_within_memory(
    monkeypatch: pytest.MonkeyPatch, cache: int, memory: int, size: int
) -> None:
    monkeypatch.setattr(bandwidth, "LEAST_BYTES", 64 * 2**20)
    monkeypatch.setattr(bandwidth.fingerprint, "last_cache_bytes", lambda: cache)
    monkeypatch.setattr(bandwidth.fingerprint, "memory_limit_bytes", lambda: memory)
    assert bandwidth.array_bytes() == size
