"""Rung 6: the twins' drift is judged by a framework's drift from itself, and by nothing smaller."""

from __future__ import annotations

import math

import numpy as np
import pytest
import twins

from bench.rungs import trajectory
from bench.rungs.base import Context

OWN = ("tf", "torch")


def seeds(ratio: float, count: int = 8, spread: float = 0.1) -> list[dict[str, float]]:
    """Return distances whose twins lie `ratio` times as far apart as each framework from itself."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, spread, (count, 1 + len(OWN)))
    noise -= noise.mean(axis=0)
    return [
        {"twins": 0.05 * ratio * math.exp(row[0])}
        | {name: 0.05 * math.exp(value) for name, value in zip(OWN, row[1:], strict=True)}
        for row in noise
    ]


@pytest.mark.parametrize(("ratio", "passed"), [(0.7, True), (1.0, True), (1.5, False), (3.0, False)])
def test_twins_may_drift_as_far_as_a_framework_from_itself(ratio: float, passed: bool) -> None:
    check = trajectory.judge("parameters", seeds(ratio))
    assert check.passed is passed
    assert check.measured is not None
    assert ratio < check.measured < 1.3 * ratio
    assert f"ratio {ratio:.3f} [" in str(check.note)


def test_seeds_that_disagree_prove_nothing() -> None:
    assert trajectory.judge("loss", seeds(1.0, spread=2.0)).passed is False


def test_a_framework_that_does_not_move_is_left_out_and_named() -> None:
    same = [row | {"torch": 0.0} for row in seeds(1.0)]
    check = trajectory.judge("loss", same)
    assert check.passed
    assert "bit for bit the same: torch" in str(check.note)


def test_frameworks_that_never_move_leave_nothing_to_judge_by() -> None:
    still = [dict.fromkeys(OWN, 0.0) | {"twins": 1e-3} for _ in range(8)]
    check = trajectory.judge("loss", still)
    assert (check.measured, check.passed) == (None, False)


def test_distances_are_relative() -> None:
    ours = {"a": np.array([3.0, 0.0]), "b": np.array([0.0])}
    theirs = {"a": np.array([3.0, 4.0]), "b": np.array([0.0]), "losses": np.zeros(2)}
    assert trajectory.parameter_distance(ours, theirs) == pytest.approx(4 / 5)
    assert trajectory.loss_distance(np.array([1.1, 0.9]), np.ones(2)) == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_twins_drift_no_further_apart_than_each_from_itself(context: Context) -> None:
    twins.need("tensorflow", "torch")
    assert [check.passed for check in trajectory.climb(context)] == [True, True]
