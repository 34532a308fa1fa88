"""Statistics on raw samples, against numpy and by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import stats

SAMPLES = st.lists(st.integers(1, 10**9), min_size=1, max_size=200)


@given(SAMPLES, st.integers(1, 100))
def test_a_percentile_is_the_smallest_sample_with_enough_at_or_below(values: list[int], percent: int):
    samples = np.array(values)
    found = stats.percentile(samples, percent)
    assert found in samples
    assert (samples <= found).sum() * 100 >= percent * len(samples)
    assert (samples < found).sum() * 100 < percent * len(samples)


@given(SAMPLES, st.integers(1, 100))
def test_a_percentile_is_numpys_inverted_cdf(values: list[int], percent: int):
    assert stats.percentile(np.array(values), percent) == np.percentile(
        values, percent, method="inverted_cdf"
    )


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentile_outside_its_range_is_refused(percent: int):
    with pytest.raises(ValueError, match="outside"):
        stats.percentile(np.array([1]), percent)


def test_no_samples_have_no_percentile():
    with pytest.raises(ValueError, match="no samples"):
        stats.percentile(np.array([]), 50)


def test_latency_is_summarised_in_milliseconds():
    found = stats.latency(np.arange(1, 101) * 1_000_000)
    assert found["n"] == 100
    assert found["latency_ms"] == {"p50": 50, "p90": 90, "mean": 50.5, "min": 1, "max": 100, "iqr": 50}


def test_throughput_counts_images_over_all_blocks():
    found = stats.throughput(np.array([500_000_000, 1_500_000_000]), images_per_block=32, batch=8)
    assert found == {"images_per_s": 32.0, "n": 64, "batch": 8}


@given(st.integers(1, 10**9), st.integers(1, 100))
def test_constant_samples_are_valid(value: int, n: int):
    assert stats.validity(np.full(n, value)) == {"verdict": "VALID", "reasons": []}


def test_a_drift_flags_and_a_wide_spread_invalidates():
    drifting = np.concatenate([np.full(50, 100), np.full(50, 104)])
    assert stats.validity(drifting) == {
        "verdict": "FLAGGED",
        "reasons": ["the second half is +4.0% from the first"],
    }
    wide = np.tile([100, 100, 115, 120], 25)
    assert stats.validity(wide)["verdict"] == "FLAGGED"
    wild = np.tile([100, 100, 150, 160], 25)
    assert stats.validity(wild)["verdict"] == "INVALID"
