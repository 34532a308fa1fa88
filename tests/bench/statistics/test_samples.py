"""Statistics on raw samples, against numpy and by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import samples as samples_
from bench.statistics import validity
from bench.verdicts import noise_floor

SAMPLES = st.lists(st.integers(1, 10**9), min_size=1, max_size=200)


@given(SAMPLES, st.integers(1, 100))
def test_a_percentile_is_the_smallest_sample_with_enough_at_or_below(values: list[int], percent: int):
    samples = np.array(values)
    found = samples_.percentile(samples, percent)
    assert found in samples
    assert (samples <= found).sum() * 100 >= percent * len(samples)
    assert (samples < found).sum() * 100 < percent * len(samples)


@given(SAMPLES, st.integers(1, 100))
def test_a_percentile_is_numpys_inverted_cdf(values: list[int], percent: int):
    assert samples_.percentile(np.array(values), percent) == np.percentile(
        values, percent, method="inverted_cdf"
    )


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentile_outside_its_range_is_refused(percent: int):
    with pytest.raises(ValueError, match="outside"):
        samples_.percentile(np.array([1]), percent)


def test_no_samples_have_no_percentile():
    with pytest.raises(ValueError, match="no samples"):
        samples_.percentile(np.array([]), 50)


def test_latency_is_summarised_in_milliseconds():
    found = samples_.latency(np.arange(1, 101) * 1_000_000)
    assert found["n"] == 100
    assert found["latency_ms"] == {"p50": 50, "p90": 90, "mean": 50.5, "min": 1, "max": 100, "iqr": 50}


def test_throughput_counts_images_over_all_blocks():
    found = samples_.throughput(np.array([500_000_000, 1_500_000_000]), images_per_block=32, batch=8)
    assert found == {"images_per_s": 32.0, "n": 64, "batch": 8}


@given(st.integers(1, 10**9), st.integers(1, 100))
def test_constant_samples_are_steady(value: int, n: int):
    assert validity.steadiness(np.full(n, value)) == validity.Steadiness(0.0, 0.0)


def test_a_round_s_drift_and_spread_are_told():
    drifting = np.concatenate([np.full(50, 100), np.full(50, 104)])
    assert validity.steadiness(drifting) == validity.Steadiness(pytest.approx(0.04), 0.04)
    wide = np.tile([100, 100, 115, 120], 25)
    assert validity.steadiness(wide).spread > validity.FLAG_SPREAD


@pytest.mark.parametrize(("percent", "needed"), [(50, 11), (90, 64), (99, 662)])
def test_a_percentile_needs_as_many_queries_as_loadgen_asks(percent: float, needed: int):
    """64 and 662 are what LoadGen prints ("Processed at least 64 queries"); 11 is its rule for the median."""
    assert samples_.queries_needed(percent) == needed


@pytest.mark.parametrize(
    ("percent", "queries", "discarded"), [(90, 2_048, 172), (99, 1_179_125, 11_539), (99, 2_091_550, 20_579)]
)
def test_loadgen_would_discard_as_many_queries_as_its_published_logs_say(
    percent: float, queries: int, discarded: int
):
    """mlperf_log_summary.txt of submissions: "Would discard 172 highest latency queries" of 2048."""
    assert samples_.queries_needed(percent, over=discarded + 1) <= queries
    assert samples_.queries_needed(percent, over=discarded + 2) > queries


def test_a_server_without_a_late_query_needs_459_queries():
    """From a summary of LoadGen's: 300 were processed, "Would need to run at least 159 more"."""
    assert samples_.queries_needed(99, over=0) == 300 + 159


@given(st.integers(1, 60), st.sampled_from([50, 75, 90, 95]))
def test_enough_queries_are_the_first_count_that_is_unlikely_by_the_binomial(over: int, percent: int):
    from scipy.stats import binom

    needed = samples_.queries_needed(percent, over)
    assert binom.cdf(over, needed, 1 - percent / 100) < 0.01
    assert needed == over + 1 or binom.cdf(over, needed - 1, 1 - percent / 100) >= 0.01


def test_a_percentile_of_too_few_queries_is_null_with_the_reason():
    assert samples_.pooled_percentiles([np.arange(1, 64)], (50, 90, 99)) == {
        "p50": 32, "p90": None, "p99": None,
        "nulls": {"p90": "63 queries in all rounds, needs 64", "p99": "63 queries in all rounds, needs 662"},
    }  # fmt: skip
    assert samples_.pooled_percentiles([np.arange(1, 65)], (90,)) == {"p90": 58, "nulls": {}}
    assert samples_.pooled_percentiles([np.array([7])], (50,)) == {
        "p50": None,
        "nulls": {"p50": "1 query in all rounds, needs 11"},
    }


@given(st.lists(SAMPLES, min_size=1, max_size=5), st.integers(1, 100))
def test_a_percentile_of_rounds_has_enough_of_their_equal_weight_at_or_below(rounds, percent: int):
    arrays = [np.array(one) for one in rounds]
    found = samples_.percentile_of_rounds(arrays, percent)
    assert any(found in one for one in arrays)
    assert 100 * np.mean([(one <= found).mean() for one in arrays]) >= percent - 1e-6
    assert 100 * np.mean([(one < found).mean() for one in arrays]) < percent + 1e-6


@given(SAMPLES, st.integers(1, 100), st.integers(1, 3))
def test_a_percentile_of_equally_long_rounds_is_that_of_all_their_queries(values, percent: int, times: int):
    arrays = [np.array(values) + i for i in range(times)]
    assert samples_.percentile_of_rounds(arrays, percent) == samples_.percentile(
        np.concatenate(arrays), percent
    )


def test_queries_of_unequal_rounds_count_as_fewer_of_equal_weight():
    assert samples_.effective_queries([32, 32]) == 64
    assert samples_.effective_queries([10, 600]) == 39
    known = samples_.pooled_percentiles([np.arange(1, 11), np.arange(1, 601)], (90,))
    assert known["nulls"] == {"p90": "39 queries of equal weight, of 610 in unequal rounds, needs 64"}


def verdict(word: str, *reasons: str) -> validity.Validity:
    return validity.Validity(word, list(reasons))


VALID, INVALID = verdict("VALID"), verdict("INVALID", "IQR is 30.0% of the median")


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([VALID] * 7, "VALID"),
        ([VALID] * 6 + [verdict("FLAGGED", "why")], "FLAGGED"),
        ([VALID] * 4 + [INVALID] * 3, "FLAGGED"),
        ([VALID] * 3 + [INVALID] * 3, "INVALID"),
        ([VALID] * 3 + [INVALID] * 4, "INVALID"),
        ([INVALID], "INVALID"),
        ([], "INVALID"),
    ],
)
def test_a_cell_is_invalid_when_half_of_its_rounds_are(rounds: list[validity.Validity], expected: str):
    assert validity.cell_validity(rounds).verdict == expected


def test_reasons_of_rounds_are_counted_and_the_largest_is_told():
    rounds = [
        verdict("FLAGGED", "the second half is +2.4% from the first", "the governor is powersave"),
        verdict("FLAGGED", "IQR is 11.0% of the median", "the governor is powersave"),
        verdict("FLAGGED", "IQR is 14.0% of the median", "the second half is -3.1% from the first"),
        verdict("FLAGGED", "IQR is 9.5% of the median", "the governor is powersave"),
        VALID,
    ]
    assert validity.cell_validity(rounds).reasons == [
        "3 of 5 rounds: the governor is powersave",
        "3 of 5 rounds: IQR is up to 14.0% of the median",
        "2 of 5 rounds: the second half is up to -3.1% from the first",
    ]


def test_a_round_that_says_the_same_twice_counts_once():
    rounds = [verdict("FLAGGED", "core 1 was throttled 3 times", "core 2 was throttled 5 times")]
    assert validity.cell_validity(rounds).reasons == ["1 of 1 round: core 2 was throttled 5 times"]


GOOD, MISSED = (0.99, 1.01), (1.0001, 1.02)


@pytest.mark.parametrize(
    ("benches", "expected"),
    [
        ([], "VALID"),
        ([GOOD], "VALID"),
        ([(1.0, 1.01)], "VALID"),
        ([MISSED], "FLAGGED"),
        ([(0.95, 0.999)], "FLAGGED"),
        ([MISSED, GOOD], "VALID"),
        ([MISSED, GOOD, MISSED], "FLAGGED"),
        ([GOOD, MISSED, MISSED], "INVALID"),
    ],
)
def test_equal_arms_that_differ_flag_a_bench_and_twice_in_succession_invalidate_it(
    benches: list[tuple[float, float]], expected: str
):
    verdict, reasons = noise_floor.noise_validity([("x", interval, "") for interval in benches])
    assert all("--again" in reason for reason in reasons), "each says what to do"
    assert verdict == expected
    assert len(reasons) == (expected != "VALID")


@pytest.mark.parametrize(
    ("pairs", "expected", "named"),
    [
        ([("x", MISSED), ("y", GOOD)], "FLAGGED", ["x"]),  # a look elsewhere clears nothing
        ([("x", MISSED), ("x", MISSED), ("y", GOOD)], "INVALID", ["x"]),
        ([("x", MISSED), ("x", MISSED), ("y", GOOD), ("x", GOOD)], "VALID", []),
        ([("x", MISSED), ("y", MISSED)], "INVALID", ["x", "y"]),
        ([("x", MISSED), ("y", MISSED), ("y", GOOD)], "FLAGGED", ["x"]),
        ([("x", MISSED), ("y", GOOD), ("x", MISSED)], "INVALID", ["x"]),
        ([("x", GOOD), ("y", None)], "FLAGGED", ["y"]),  # a last bench that cannot tell is a doubt
        ([("x", MISSED), ("x", MISSED), ("y", None)], "INVALID", ["x", "y"]),
        ([("y", None), ("x", MISSED)], "FLAGGED", ["x"]),
        ([("y", None), ("x", GOOD)], "VALID", []),
    ],
)
def test_a_miss_stands_until_its_own_pair_is_measured_anew(
    pairs: list[tuple[str, tuple[float, float] | None]], expected: str, named: list[str]
):
    verdict, reasons = noise_floor.noise_validity(
        [(name, interval, "it crashed") for name, interval in pairs]
    )
    assert verdict == expected
    assert [reason.split()[0] for reason in reasons] == named
