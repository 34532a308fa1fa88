"""Rung 6: the twins' drift is judged by a framework's drift from itself, and by nothing smaller."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.parity.rungs import trajectory
from bench.parity.rungs.base import Context
from pose.weights import save

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


@pytest.mark.parametrize("lost", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("names", "where"), [(("torch",), "torch"), (("twins", "tf"), "tf"), (("twins",), "twins")]
)
def test_a_training_that_diverged_fails_the_check_and_is_named(
    lost: float, names: tuple[str, ...], where: str
) -> None:
    found = seeds(1.0)
    found[3] |= dict.fromkeys(names, lost)
    check = trajectory.judge("parameters", found)
    assert (check.passed, check.where) == (False, where)
    assert all(f"{name} in seed 3" in str(check.note) for name in names)
    assert "the same" not in str(check.note)


def left(folder: Path, **changes: dict[str, np.ndarray]) -> Path:
    """Return a folder with what four arms of a training leave; a change is named tf_base, torch_otherwise."""
    right = {"bn1.weight": np.ones(2), "conv1.weight": np.ones((2, 3)), "losses": np.ones(4)}
    for twin in OWN:
        for kind in ("base", "otherwise"):
            save(folder / f"{twin}.{kind}" / "0.safetensors", changes.get(f"{twin}_{kind}", right))
    return folder


def test_an_arm_that_lacks_a_parameter_or_shapes_it_otherwise_is_named(tmp_path: Path) -> None:
    assert trajectory._odd(left(tmp_path / "right")) == []
    odd = {"conv1.weight": np.ones((3, 2)), "losses": np.ones(4), "fc.bias": np.ones(1)}
    assert trajectory._odd(left(tmp_path / "wrong", tf_otherwise=odd)) == [
        "bn1.weight, tf, otherwise",
        "conv1.weight, tf, otherwise",
        "fc.bias, tf, otherwise",
    ]


def test_losses_that_are_no_numbers_have_no_finite_distance(tmp_path: Path) -> None:
    diverged = {
        "bn1.weight": np.full(2, np.nan),
        "conv1.weight": np.ones((2, 3)),
        "losses": np.full(4, np.nan),
    }
    found = trajectory._distances(left(tmp_path, torch_otherwise=diverged), 0)
    for kind in ("parameters", "loss"):
        assert math.isnan(found[kind]["torch"])
        assert found[kind]["twins"] == 0


def test_distances_are_relative() -> None:
    ours = {"a": np.array([3.0, 0.0]), "b": np.array([0.0])}
    theirs = {"a": np.array([3.0, 4.0]), "b": np.array([0.0]), "losses": np.zeros(2)}
    assert trajectory.parameter_distance(ours, theirs) == pytest.approx(4 / 5)
    assert trajectory.loss_distance(np.array([1.1, 0.9]), np.ones(2)) == pytest.approx(0.1)


@pytest.mark.slow
@pytest.mark.frameworks("tensorflow", "torch")
@pytest.mark.timeout(3600)
def test_the_twins_drift_no_further_apart_than_each_from_itself(context: Context) -> None:
    """Fewer steps and seeds than the rung's: the drift is there after the first, and each costs every arm."""
    assert [check.passed for check in trajectory.climb(context, steps=30, seeds=5)] == [True, True]
