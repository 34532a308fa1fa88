"""Do the intervals hold what they promise? Simulated benches with a known ratio; `-s` prints the tables."""

from __future__ import annotations

import numpy as np
import pytest
import simulating
from scipy import stats as scipy_stats
from simulating import BENCHES, DRIFT, FIRST_LOOK, KINDS, LAST_LOOK, RULE, log_ratios, row, times

from bench.statistics import paired
from bench.statistics.paired import MARGIN

SIGMAS = (0.010, 0.014, 0.018, 0.022, 0.026, 0.030, 0.060)
"""Of a log ratio. The rule stops at the first look with the least, and never with the largest."""


def whole(logs: np.ndarray) -> np.ndarray:
    """Return the number of rounds (benches,) where none of them stops early."""
    return np.full(len(logs), logs.shape[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounds", [3, 7, 10])
def test_the_t_interval_has_its_coverage_at_few_rounds(table: list[str], kind: str, rounds: int):
    logs = log_ratios(times(kind, 0.02, DRIFT, BENCHES, rounds))
    covered = simulating.t_covers(logs, whole(logs)).mean()
    row(table, "t", kind, 0.02, rounds, covered)
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("rounds", [3, 5, 7, 10])
def test_a_plain_percentile_bootstrap_lacks_coverage_at_few_rounds(table: list[str], rounds: int):
    logs = log_ratios(times("normal", 0.02, DRIFT, BENCHES, rounds))
    covered = simulating.bootstrap_covers(logs, plain=True, resamples=500).mean()
    row(table, "plain bootstrap", "normal", 0.02, rounds, covered)
    assert 0.70 <= covered <= 0.92


@pytest.mark.parametrize("kind", KINDS)
def test_the_bootstrap_of_30_rounds_has_its_coverage(table: list[str], kind: str):
    logs = log_ratios(times(kind, 0.02, DRIFT, BENCHES, paired.BOOTSTRAP_FROM))
    covered = simulating.bootstrap_covers(logs).mean()
    row(table, "bootstrap", kind, 0.02, paired.BOOTSTRAP_FROM, covered)
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_stopping_rule_has_its_coverage(table: list[str], kind: str, sigma: float):
    logs = log_ratios(times(kind, sigma, DRIFT, BENCHES, LAST_LOOK))
    covered = simulating.official_covers(logs).mean()
    row(table, "official", kind, sigma, simulating.stop(logs).mean(), covered)
    assert 0.93 <= covered <= 0.97


def test_the_stopping_rule_would_lack_coverage_uncorrected(table: list[str]):
    found = []
    for sigma in SIGMAS:
        logs = log_ratios(times("normal", sigma, DRIFT, BENCHES, LAST_LOOK))
        n = simulating.stop(logs, first_look=None)
        covers = simulating.t_covers(logs, n)
        covers[n == LAST_LOOK] = simulating.bootstrap_covers(logs[n == LAST_LOOK], plain=True)
        found.append(covers.mean())
        row(table, "uncorrected", "normal", sigma, n.mean(), covers.mean())
    assert min(found) < 0.94


@pytest.mark.parametrize("rounds", [7, 10, 30])
def test_bursts_in_one_arm_alone_cost_coverage(table: list[str], rounds: int):
    """What no interval of few rounds is good for; the page says so."""
    logs = log_ratios(times("bursts", 0.02, DRIFT, BENCHES, rounds))
    covered = simulating.t_covers(logs, whole(logs)).mean()
    row(table, "t", "bursts", 0.02, rounds, covered)
    assert 0.80 <= covered <= 0.93


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.018, 0.026])
def test_small_p_values_are_as_rare_as_they_say_under_the_stopping_rule(kind: str, sigma: float):
    """Holm needs the tails: it asks a p of 0.001 of the best of fifty comparisons."""
    logs = log_ratios(times(kind, sigma, DRIFT, 5 * BENCHES, LAST_LOOK))
    t = np.abs(simulating.t_values(logs, simulating.stop(logs)))
    found = 2 * scipy_stats.t.sf(t, FIRST_LOOK - 1)
    for p in (0.05, 0.01, 0.001):
        assert (found < p).mean() <= 1.1 * p + 3 * np.sqrt(p / len(logs)), p


def test_small_p_values_would_be_too_common_under_the_stopping_rule_uncorrected():
    logs = log_ratios(times("normal", 0.026, DRIFT, 5 * BENCHES, LAST_LOOK))
    n = simulating.stop(logs, first_look=None)
    found = 2 * scipy_stats.t.sf(np.abs(simulating.t_values(logs, n)), n - 1)
    assert (found < 0.01).mean() > 0.013
    assert (found < 0.001).mean() > 0.0013


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounds", [3, 7, 10])
def test_holm_is_wrong_about_any_pair_of_a_lane_in_one_matrix_of_twenty(kind: str, rounds: int):
    arms = 6
    logs = np.log(times(kind, 0.02, DRIFT, 4000, rounds, arms))
    pairs = [logs[..., a] - logs[..., b] for b in range(arms) for a in range(b + 1, arms)]
    p = np.stack([scipy_stats.ttest_1samp(pair, 0, axis=1).pvalue for pair in pairs], axis=1)
    wrong = np.mean([min(paired.holm(list(one))) <= 0.05 for one in p])
    assert p.shape == (4000, 15)
    assert (p.min(axis=1) <= 0.05).mean() > 0.2, "without Holm it would be"
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 / 4000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.005, 0.01, 0.02])
def test_arms_at_the_margin_are_called_equivalent_in_one_bench_of_twenty(kind: str, sigma: float):
    logs = log_ratios(times(kind, sigma, DRIFT, BENCHES, LAST_LOOK))
    slack = 3 * np.sqrt(0.05 / BENCHES)
    edge = np.log1p(MARGIN)
    stops = {3: None, 7: None, 10: None, "official": FIRST_LOOK}
    for rounds, first_look in stops.items():
        n = simulating.stop(logs) if rounds == "official" else np.full(BENCHES, rounds)
        freedom = np.array([paired.degrees_of_freedom(int(one), first_look) for one in n])
        # The true ratio is 1 + margin: moved there, t of the nearer edge is t of 1 in the benches as drawn.
        t = -simulating.t_values(logs, n)
        far = simulating.t_values(logs, n, truth=-2 * edge)
        p = np.maximum(scipy_stats.t.sf(t, freedom), scipy_stats.t.sf(far, freedom))
        assert (p <= 0.05).mean() <= 0.05 + slack, rounds


def test_what_is_simulated_is_what_the_bench_does():
    arms = times("t5", 0.02, DRIFT, 40, LAST_LOOK)
    logs = log_ratios(arms)
    stopped = simulating.stop(logs)
    assert len(set(stopped)) > 5
    for bench, end in zip(arms, stopped, strict=True):
        looks = range(2, LAST_LOOK + 1)
        literal = next(n for n in looks if RULE.is_over(bench[:n, 0], bench[:n, 1], n))
        assert literal == end
    for first_look in (None, FIRST_LOOK):
        found = [
            paired.paired_ratio(*one[:end].T, first_look) for one, end in zip(arms, stopped, strict=True)
        ]
        covers = simulating.t_covers(logs, stopped, first_look)
        assert [one.low <= 1 <= one.high for one in found] == list(covers)
    t = simulating.t_values(logs, stopped)
    assert [one.p for one in found] == pytest.approx(2 * scipy_stats.t.sf(np.abs(t), FIRST_LOOK - 1))
