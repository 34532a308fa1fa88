"""Paired ratios against scipy, and by what must hold for all figures. Coverage is in test_coverage.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.statistics import paired

FIGURE = st.floats(1e-3, 1e6)
ARMS = st.lists(st.tuples(FIGURE, FIGURE), min_size=2, max_size=40).map(
    lambda pairs: tuple(zip(*pairs, strict=True))
)
LOOKS = st.sampled_from([None, 1, 2, 10])
P_VALUES = st.lists(st.none() | st.floats(0, 1), max_size=30)


def drawn(n: int, ratio: float = 1.0, sigma: float = 0.02, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the figures (n,) of two arms."""
    rng = np.random.default_rng(seed)
    b = 50 * np.exp(0.1 * rng.standard_normal(n))
    return ratio * b * np.exp(sigma * rng.standard_normal(n)), b


@pytest.mark.parametrize("n", [2, 3, 7, 10, 29])
def test_interval_and_p_are_scipys_paired_t_test_of_logs(n: int):
    a, b = drawn(n, ratio=1.01)
    found = paired.paired_ratio(a, b)
    test = scipy_stats.ttest_rel(np.log(a), np.log(b))
    assert found.p == pytest.approx(test.pvalue, rel=1e-9)
    one = scipy_stats.ttest_1samp(np.log(a / b), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((math.exp(one.low), math.exp(one.high)), rel=1e-12)
    assert found.ratio == pytest.approx(scipy_stats.gmean(a / b), rel=1e-12)
    assert (found.n, found.method) == (n, "t")


@pytest.mark.parametrize("n", [3, 10])
def test_equivalence_is_the_larger_of_scipys_two_one_sided_tests(n: int):
    a, b = drawn(n, ratio=1.005, sigma=0.01)
    logs, edge = np.log(a / b), math.log(1.02)
    above = scipy_stats.ttest_1samp(logs, -edge, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(logs, edge, alternative="less").pvalue
    assert paired.equivalence(a, b) == pytest.approx(max(above, below), rel=1e-9)


def test_the_bootstrap_is_scipys_with_expanded_percentiles():
    a, b = drawn(40, ratio=1.1)
    inside = 1 - 2 * paired.tail_share(40)
    theirs = scipy_stats.bootstrap(
        (np.log(a / b),), np.mean, confidence_level=inside, method="percentile", rng=1
    ).confidence_interval
    found = paired.bootstrap_ratio(a, b)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((theirs.low, theirs.high), abs=5e-4)
    assert found == paired.bootstrap_ratio(a, b)
    assert found != paired.bootstrap_ratio(a, b, seed=1)


@pytest.mark.parametrize(("n", "share"), [(10, 0.0086), (30, 0.0188), (1000, 0.0248)])
def test_percentiles_are_expanded_as_the_paper_says(n: int, share: float):
    """z sqrt((n - 1) / n) = t, with a table's t: 2.262, 2.045 and 1.962 (Hesterberg 2014)."""
    assert paired.tail_share(n) == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize(("n", "method"), [(2, "t"), (29, "t"), (30, "bootstrap"), (31, "bootstrap")])
def test_what_made_the_interval_is_said(n: int, method: str):
    assert paired.interval_ratio(*drawn(n)).method == method


def test_under_a_stopping_rule_the_degrees_of_freedom_are_those_of_its_first_look():
    a, b = drawn(20)
    plain, stopped = paired.paired_ratio(a, b), paired.paired_ratio(a, b, first_look=10)
    widened = scipy_stats.t.ppf(0.975, 9) / scipy_stats.t.ppf(0.975, 19)
    assert math.log(stopped.high / stopped.low) == pytest.approx(math.log(plain.high / plain.low) * widened)
    assert stopped.p > plain.p
    assert paired.paired_ratio(a[:10], b[:10], 10) == paired.paired_ratio(a[:10], b[:10])
    assert paired.paired_ratio(a[:5], b[:5], 10) == paired.paired_ratio(a[:5], b[:5])


def test_a_look_after_one_round_can_judge_nothing_so_the_first_is_at_two():
    a, b = drawn(5)
    assert paired.paired_ratio(a, b, first_look=1) == paired.paired_ratio(a, b, first_look=2)
    assert paired.equivalence(a, b, first_look=1) == paired.equivalence(a, b, first_look=2)


@given(ARMS, LOOKS)
def test_the_ratio_of_b_to_a_is_the_inverse(arms: tuple[list[float], list[float]], look: int | None):
    a, b = arms
    for function in (paired.paired_ratio, paired.bootstrap_ratio):
        there, back = function(a, b, look), function(b, a, look)
        assert there.ratio == pytest.approx(1 / back.ratio, rel=1e-9)
        assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low), rel=1e-9)
        assert there.p == pytest.approx(back.p, rel=1e-6, abs=1e-12)
    assert paired.equivalence(a, b) == pytest.approx(paired.equivalence(b, a), rel=1e-6, abs=1e-12)


@given(st.integers(0, 1000), st.integers(2, 40), st.floats(1e-3, 1e3), LOOKS)
def test_a_machine_that_is_slower_for_both_arms_changes_nothing(
    seed: int, n: int, slower: float, look: int | None
):
    a, b = drawn(n, 1.01, seed=seed)
    before, after = paired.interval_ratio(a, b, look), paired.interval_ratio(a * slower, b * slower, look)
    values = [(one.ratio, one.low, one.high, one.p) for one in (before, after)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


@given(ARMS, LOOKS)
def test_the_ratio_lies_in_its_interval(arms: tuple[list[float], list[float]], look: int | None):
    found = paired.interval_ratio(*arms, look)
    assert found.low <= found.ratio * (1 + 1e-9)
    assert found.ratio <= found.high * (1 + 1e-9)
    assert 0 <= found.p <= 1


@given(ARMS, LOOKS)
def test_p_is_below_a_twentieth_where_the_t_interval_misses_1(
    arms: tuple[list[float], list[float]], look: int | None
):
    found = paired.paired_ratio(*arms, look)
    if abs(found.p - 0.05) > 1e-6:
        assert (found.p < 0.05) == (not found.low <= 1 <= found.high)


def test_pairs_without_noise_are_certain():
    same, double = [2.0, 4.0, 8.0], [4.0, 8.0, 16.0]
    assert paired.paired_ratio(same, same).p == 1
    assert paired.paired_ratio(double, same) == paired.Ratio(3, 2.0, 2.0, 2.0, 0.0, "t")
    assert paired.equivalence(same, same) == 0
    assert paired.equivalence(double, same) == 1


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1.0], [1.0], "at least 2 pairs, not 1"),
        ([1.0, 2.0], [1.0], "no pairs"),
        ([1.0, 0.0], [1.0, 1.0], "not a positive number"),
        ([1.0, -1.0], [1.0, 1.0], "not a positive number"),
        ([1.0, math.nan], [1.0, 1.0], "not a positive number"),
    ],
)
def test_what_is_no_pair_is_refused(a: list[float], b: list[float], message: str):
    for function in (paired.interval_ratio, paired.bootstrap_ratio, paired.equivalence):
        with pytest.raises(ValueError, match=message):
            function(a, b)


def test_holm_gives_the_published_values():
    """By hand: 0.01 x 4, 0.02 x 3, then no less than the one before."""
    assert paired.holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert paired.holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert paired.holm([]) == []


@given(P_VALUES)
def test_holm_never_lowers_a_p_nor_changes_their_order(p_values: list[float | None]):
    adjusted = paired.holm(p_values)
    assert [one is None for one in adjusted] == [one is None for one in p_values]
    both = sorted((p, q) for p, q in zip(p_values, adjusted, strict=True) if p is not None and q is not None)
    assert all(p <= q <= 1 for p, q in both)
    assert [q for _, q in both] == sorted(q for _, q in both)


@given(P_VALUES)
def test_holm_rejects_what_bonferroni_does(p_values: list[float | None]):
    tests = sum(p is not None for p in p_values)
    for p, q in zip(p_values, paired.holm(p_values), strict=True):
        assert p is None or q is None or q <= min(1.0, tests * p)
