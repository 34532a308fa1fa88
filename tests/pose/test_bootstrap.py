"""The interval of an AP difference, against pycocotools run over again on every resampled set."""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np
import pytest
from crowds import crowded, found_in
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pose import bootstrap, evaluate


def between(a: list[dict], b: list[dict], truth: dict, draws: int, seed: int) -> tuple[float, float, float]:
    """Return AP(a) - AP(b) and its interval, of COCO results against annotations."""
    return bootstrap.difference(bootstrap.match(a, truth), bootstrap.match(b, truth), draws, seed)


def literal(predictions: list[dict], truth: dict, drawn: list[int]) -> float:
    """Return what COCOeval itself makes of the images `drawn` (places among the images, repeats allowed)."""
    evaluation = evaluate.matched(predictions, truth)
    images = len(evaluation.params.imgIds)
    areas = range(len(evaluation.params.areaRng))
    evaluation.evalImgs = [evaluation.evalImgs[a * images + i] for a in areas for i in sorted(drawn)]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    return float(precision.mean()) if precision.max() > -1 else float("nan")


@settings(max_examples=25)
@given(st.integers(1, 12), st.floats(0.001, 0.2), st.integers(0, 10_000))
def test_the_ap_of_the_images_as_they_are_is_cocoevals_own(images: int, sigma: float, seed: int):
    truth = crowded(images, seed)
    predictions = found_in(truth, sigma, seed)
    expected = evaluate.score(predictions, truth)["AP"]
    found = bootstrap.ap(bootstrap.match(predictions, truth))
    assert found == (
        pytest.approx(expected, abs=1e-12) if expected >= 0 else pytest.approx(np.nan, nan_ok=True)
    )


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(0, 10_000), st.data())
def test_the_ap_of_drawn_images_is_that_of_cocoeval_on_copied_ones(
    images: int, seed: int, data: st.DataObject
):
    truth = crowded(images, seed)
    predictions = found_in(truth, 0.05, seed)
    drawn = data.draw(st.lists(st.integers(0, images - 1), min_size=images, max_size=images))
    counts = np.bincount(drawn, minlength=images)[None]
    found = bootstrap.average_precision(bootstrap.match(predictions, truth), counts)[0]
    assert found == pytest.approx(literal(predictions, truth, drawn), abs=1e-12, nan_ok=True)


def test_the_interval_is_that_of_the_literal_bootstrap():
    truth = crowded(15, seed=1)
    a, b = found_in(truth, 0.03, seed=2), found_in(truth, 0.06, seed=3)
    difference, low, high = between(a, b, truth, draws=40, seed=4)
    drawn = np.random.default_rng(4).integers(0, 15, (40, 15)).tolist()
    slow = [literal(a, truth, rows) - literal(b, truth, rows) for rows in drawn]
    assert (low, high) == pytest.approx(tuple(np.percentile(slow, [2.5, 97.5])), abs=1e-12)
    assert difference == pytest.approx(evaluate.score(a, truth)["AP"] - evaluate.score(b, truth)["AP"])
    assert low < difference < high


def test_predictions_do_not_differ_from_themselves():
    truth = crowded(8, seed=5)
    rows = found_in(truth, 0.05, seed=6)
    assert between(rows, rows, truth, draws=50, seed=0) == (0, 0, 0)


def test_the_p_of_no_difference_is_that_of_the_normal_distribution():
    drawn = np.append(np.random.default_rng(0).normal(-0.02, 0.01, 1000), [np.nan, np.nan])
    expected = 2 * stats.norm.sf(0.02 / np.nanstd(drawn))
    assert bootstrap.p_of_none(-0.02, drawn) == bootstrap.p_of_none(0.02, drawn) == pytest.approx(expected)
    assert bootstrap.p_of_none(0.0, drawn) == 1
    # Far below what a share of the draws could be.
    assert 0 < bootstrap.p_of_none(0.1, drawn) < 1e-20
    assert np.isnan(bootstrap.p_of_none(0.1, drawn[-2:]))
    assert [bootstrap.p_of_none(apart, np.full(9, apart)) for apart in (0.0, 0.1)] == [1, 0]


def test_p_and_interval_agree_on_what_is_far_from_the_edge():
    truth = crowded(40, seed=3)
    first = bootstrap.resampled(bootstrap.match(found_in(truth, 0.02, 1), truth), 1000, 0)
    for sigma, seed, differs in ((0.024, 1, True), (0.04, 4, True), (0.036, 1, True), (0.02, 3, False)):
        other = bootstrap.match(found_in(truth, sigma, seed), truth)
        drawn = bootstrap.resampled(other, 1000, 0) - first
        low, high = bootstrap.interval(drawn)
        assert (not low <= 0 <= high) is differs
        assert (bootstrap.p_of_none(float(np.mean(drawn)), drawn) < 0.05) is differs


def test_the_same_seed_draws_the_same_images():
    truth = crowded(20, seed=7)
    a, b = (bootstrap.match(found_in(truth, sigma, seed=8), truth) for sigma in (0.04, 0.05))
    assert bootstrap.difference(a, b, 100, seed=1) == bootstrap.difference(a, b, 100, seed=1)
    assert bootstrap.difference(a, b, 100, seed=1) != bootstrap.difference(a, b, 100, seed=2)


def test_no_prediction_at_all_is_an_ap_of_zero():
    truth = crowded(6, seed=9)
    assert bootstrap.ap(bootstrap.match([], truth)) == 0
    assert between([], found_in(truth, 0.01, 1), truth, draws=20, seed=0)[0] < 0


def test_where_nobody_counts_there_is_no_ap():
    truth = crowded(3, seed=0) | {"annotations": []}
    assert np.isnan(between([], [], truth, draws=5, seed=0)).all()


def test_a_thousand_draws_of_a_hundred_images_take_seconds():
    truth = crowded(100, seed=10)
    a, b = found_in(truth, 0.03, seed=11), found_in(truth, 0.04, seed=12)
    started_s = time.process_time()
    between(a, b, truth, draws=1000, seed=0)
    assert time.process_time() - started_s < 10
