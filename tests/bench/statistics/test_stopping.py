"""When a lane has enough passes: known well, decided, or at its last look; and what would decide it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from simulating import RULE

from bench.statistics import paired
from bench.statistics.stopping import LOOKING, StoppingRule, rounds_needed

QUICK = StoppingRule(4, 10, 0.05, family=17)


def exact(n: int, half_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return arms (n,) whose interval under the stopping rule has this half-width."""
    spread = np.resize([1.0, -1.0], n)
    spread = (spread - spread.mean()) / spread.std(ddof=1)
    quantile = scipy_stats.t.ppf(0.975, min(n, 10) - 1)
    return np.exp(spread * math.log1p(half_width) * math.sqrt(n) / quantile), np.ones(n)


@pytest.mark.parametrize(
    ("n", "half_width", "expected"),
    [
        (9, 0.001, False),
        (10, 0.0099, True),
        (10, 0.0101, False),
        (11, 0.0099, True),
        (29, 0.0101, False),
        (30, 0.5, True),
        (31, 0.5, True),
    ],
)
def test_a_pair_is_done_between_10_and_30_rounds_when_its_interval_is_narrow(
    n: int, half_width: float, expected: bool
):
    arms = exact(n, half_width)
    assert paired.paired_ratio(*arms, first_look=10).half_width == pytest.approx(half_width)
    assert RULE.is_over(*arms, n) is expected


def test_the_width_that_is_asked_settles_and_a_pair_without_rounds_is_not_settled():
    wide = exact(12, 0.02)
    assert not RULE.is_over(*wide, 12)
    assert replace(RULE, half_width=0.03).is_over(*wide, 12)
    assert not RULE.is_over([1.0], [1.0], 12)


def apart(n: int, ratio: float, sigma: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return arms (n,) whose log ratios have exactly this mean and deviation."""
    logs = np.random.default_rng(seed).standard_normal(n)
    logs = (logs - logs.mean()) / logs.std(ddof=1) * sigma + math.log(ratio)
    return np.exp(logs), np.ones(n)


@pytest.mark.parametrize(
    ("n", "ratio", "sigma", "over"),
    [
        (3, 2.0, 0.001, False),
        (4, 2.0, 0.05, True),
        (4, 1.2, 0.05, False),
        (4, 1.2, 0.02, True),
        (4, 1.0, 0.02, True),
        (9, 1.0, 0.2, False),
        (10, 1.0, 0.2, True),
    ],
)
def test_a_pair_is_settled_when_it_is_decided_in_the_whole_matrix_or_known_within_5_percent(
    n: int, ratio: float, sigma: float, over: bool
) -> None:
    assert QUICK.is_over(*apart(n, ratio, sigma), n) is over


def test_a_decision_settles_only_where_the_rule_says_so_and_costs_more_among_more_pairs() -> None:
    far = apart(4, 1.5, 0.1)
    p = paired.paired_ratio(*far, 4).p
    most = int(paired.ALPHA / LOOKING / p)
    assert most >= 1
    assert replace(QUICK, family=most).settles(*far)
    assert not replace(QUICK, family=most + 1).settles(*far)
    assert not replace(QUICK, family=None).settles(*far)


def test_what_settles_is_decided_by_holm_too() -> None:
    rng = np.random.default_rng(3)
    arms = [apart(4, ratio, 0.05, seed) for seed, ratio in enumerate(rng.uniform(0.5, 2, 17))]
    holm = paired.holm([paired.paired_ratio(*one, 4).p for one in arms])
    decided = [p is not None and p <= paired.ALPHA for p in holm]
    settled = [replace(QUICK, half_width=None).settles(*one) for one in arms]
    assert any(settled)
    assert all(later for now, later in zip(settled, decided, strict=True) if now)


@given(st.integers(4, 12), st.floats(1.0, 1.6), st.floats(0.001, 0.3))
def test_as_many_rounds_as_are_needed_decide_a_pair_that_goes_on_as_it_began(
    n: int, ratio: float, sigma: float
) -> None:
    needed = rounds_needed(*apart(n, ratio, sigma), first_look=4, family=17)
    assert needed >= n
    if needed < 2000:
        arms = apart(math.ceil(needed), ratio, sigma)
        different = 17 * paired.paired_ratio(*arms, 4).p <= paired.ALPHA
        assert different or paired.equivalence(*arms, first_look=4) <= paired.ALPHA


def test_a_decision_needs_more_rounds_among_more_pairs_and_with_more_scatter() -> None:
    arms = apart(10, 1.1, 0.1)
    needed = [rounds_needed(*arms, 4, family) for family in (1, 4, 16)]
    assert needed == sorted(set(needed))
    assert rounds_needed(*apart(10, 1.1, 0.2), 4, 4) == pytest.approx(4 * needed[1])
    assert rounds_needed(np.full(4, 2.0), np.ones(4), 4, 1) == 4
