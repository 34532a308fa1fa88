"""Ratios of runs that share no passes: against scipy, by simulation, and what decides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.statistics.paired import ALPHA, MARGIN
from bench.statistics.unpaired import differences, least_rank_p, rank_test, welch

figures = st.lists(st.floats(0.01, 1000), min_size=2, max_size=12)


def drawn(seed: int, n: int, k: int, shift: float = 0.0, scatter: float = 0.01, count: int = 1) -> list:
    rng = np.random.default_rng(seed)
    a = np.exp(rng.normal(3, scatter, (count, n)))
    b = np.exp(rng.normal(3 + shift, scatter, (count, k)))
    return list(zip(a.tolist(), b.tolist(), strict=True))


@pytest.mark.parametrize(("n", "k"), [(2, 2), (3, 7), (7, 7), (10, 30)])
def test_interval_and_p_are_scipys(n: int, k: int) -> None:
    [(a, b)] = drawn(n * k, n, k, 0.01)
    [found] = differences([(a, b)])
    judged = scipy_stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    assert found.p == pytest.approx(judged.pvalue)
    assert found.interval == pytest.approx(tuple(np.exp(judged.confidence_interval(0.95))))
    assert found.ratio == pytest.approx(scipy_stats.gmean(b) / scipy_stats.gmean(a))
    below = scipy_stats.ttest_ind(
        np.log(b), np.log(a) - math.log1p(MARGIN), equal_var=False, alternative="greater"
    )
    above = scipy_stats.ttest_ind(
        np.log(b), np.log(a) + math.log1p(MARGIN), equal_var=False, alternative="less"
    )
    assert found.p_equivalence == pytest.approx(max(below.pvalue, above.pvalue))


@pytest.mark.parametrize(
    "values", [([1.0, 2, 3], [4.0, 5, 6]), ([1.0, 2, 2], [2.0, 5, 6]), ([1.0] * 9, [2.0] * 9)]
)
def test_the_rank_test_is_scipys(values: tuple[list[float], list[float]]) -> None:
    a, b = map(np.array, values)
    [p] = rank_test(a[None], b[None])
    assert p == pytest.approx(scipy_stats.mannwhitneyu(b, a).pvalue)


def test_the_rank_test_of_nothing_but_equals_says_nothing() -> None:
    assert rank_test(np.ones((1, 3)), np.ones((1, 4))) == [1.0]


def test_three_rounds_against_three_cannot_convince_the_rank_test() -> None:
    assert least_rank_p(3, 3) == pytest.approx(0.1)
    assert rank_test(np.array([[1.0, 2, 3]]), np.array([[4.0, 5, 6]])) == pytest.approx([0.1])
    [found] = differences([([10.0, 10.1, 10.2], [20.0, 20.1, 20.2])])
    assert found.verdict == "more"


@pytest.mark.parametrize("n", [3, 7, 10])
def test_the_interval_covers_the_true_ratio_95_times_of_100(n: int) -> None:
    """Runs of one true ratio, B scattering three times as much as A."""
    count = 4000
    rng = np.random.default_rng(n)
    a = np.exp(rng.normal(3, 0.01, (count, n)))
    b = np.exp(rng.normal(3.05, 0.03, (count, n)))
    found = differences(list(zip(a.tolist(), b.tolist(), strict=True)))
    inside = [one.interval[0] <= math.exp(0.05) <= one.interval[1] for one in found if one.interval]
    assert len(inside) == count
    assert 0.93 <= np.mean(inside) <= 0.97


def test_of_equal_runs_few_comparisons_are_called_different() -> None:
    wrong = 0
    for seed in range(200):
        found = differences(drawn(seed, 5, 5, count=20, scatter=0.05))
        wrong += any(one.verdict in {"more", "less"} for one in found)
    assert wrong / 200 <= 0.08


def test_verdicts() -> None:
    arms = [drawn(1, 7, 7, shift)[0] for shift in (0.0, 0.1, -0.1)] + [drawn(2, 7, 7, 0.02, 0.05)[0]]
    assert [one.verdict for one in differences(arms)] == ["equivalent", "more", "less", "inconclusive"]


def test_a_single_round_has_a_ratio_and_no_verdict() -> None:
    [found] = differences([([10.0], [20.0, 21.0])])
    assert found.ratio == pytest.approx(math.sqrt(420) / 10)
    assert (found.interval, found.verdict) == (None, "inconclusive")
    assert found.reason == "1 and 2 rounds; an interval needs 2 in each run"


def test_the_rank_test_can_object() -> None:
    """One round of A lies above one of B: of four against four the ranks then say that it may be chance."""
    [found] = differences([([10.0, 10.01, 10.02, 10.5], [10.45, 11.0, 11.01, 11.02])])
    assert found.p_holm is not None
    assert found.p_holm < 0.01
    assert found.p_rank == pytest.approx(2 * 2 / math.comb(8, 4))
    assert (found.verdict, found.reason) == ("inconclusive", "the rank test disagrees (p 0.057)")


def test_rounds_without_scatter_decide_at_once() -> None:
    same, more = differences([([2.0, 2.0], [2.0, 2.0]), ([2.0, 2.0], [3.0, 3.0])])
    assert (same.verdict, same.p, same.interval) == ("equivalent", 1.0, (1.0, 1.0))
    assert (more.verdict, more.p) == ("more", 0.0)


def test_a_stopping_rule_widens_the_interval() -> None:
    [arms] = drawn(3, 20, 20)
    [fixed], [stopped] = differences([arms]), differences([arms], looks=(10, 10))
    assert fixed.interval is not None
    assert stopped.interval is not None
    assert stopped.interval[0] < fixed.interval[0] < fixed.interval[1] < stopped.interval[1]
    logs = (np.log(arms[0])[None], np.log(arms[1])[None])
    assert welch(*logs, (10, 10))[1] < welch(*logs)[1]
    assert welch(*logs, (1, 1))[1] == welch(*logs, (2, 2))[1], "a look after one round can judge nothing"


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_figure_that_is_no_positive_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a positive number"):
        differences([([1.0, bad], [1.0, 2.0])])


@given(st.lists(st.tuples(figures, figures), min_size=1, max_size=6))
def test_swapping_the_runs_turns_everything_round(arms: list[tuple[list[float], list[float]]]) -> None:
    turned = {"more": "less", "less": "more"}
    there, back = differences(arms), differences([(b, a) for a, b in arms])
    for one, other in zip(there, back, strict=True):
        assert other.ratio == pytest.approx(1 / one.ratio)
        assert one.interval is not None
        assert one.interval[0] <= one.ratio * (1 + 1e-9)
        assert one.ratio <= one.interval[1] * (1 + 1e-9)
        assert other.p_rank == pytest.approx(one.p_rank)
        if one.verdict in turned and abs((one.p_holm or 0) - ALPHA) > 1e-9:
            assert other.verdict == turned[one.verdict]
