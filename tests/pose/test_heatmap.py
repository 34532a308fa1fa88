"""Targets and decoding, against the published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pose import heatmap, published
from pose.skeleton import COCO

GEOMETRIES = st.sampled_from(
    [((192, 256), (48, 64), 2.0), ((288, 384), (72, 96), 3.0), ((96, 128), (24, 32), 1.0)]
)
# Whole and half steps of the stride meet the rounding and the border exactly.
coordinates = st.one_of(st.floats(-60, 440), st.integers(-30, 220).map(lambda v: v * 2.0))
joint = st.tuples(coordinates, coordinates)
peaks = arrays.arrays(np.float32, (1, 17, 7, 6), elements=st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0]))


@settings(max_examples=60)
@given(st.lists(joint, min_size=3, max_size=3), st.lists(st.booleans(), min_size=3, max_size=3), GEOMETRIES)
def test_targets_and_weights_are_the_published_ones(joints, visible, geometry):
    maps, weights = heatmap.encode(np.array(joints), np.array(visible), *geometry)
    expected_maps, expected_weights = published.generate_target(joints, visible, *geometry)
    assert np.array_equal(maps, expected_maps)
    assert np.array_equal(weights, expected_weights)


def test_a_window_that_ends_at_the_border_counts_and_one_beyond_it_does_not():
    sizes = ((192, 256), (48, 64), 2.0)
    # mu = -7: the window is columns -13..-1. As published (`br < 0`) it still counts, empty.
    # int() rounds toward zero: -31 / 4 + 0.5 = -7.25.
    maps, weights = heatmap.encode(np.array([[-31.0, 100.0], [-36.0, 100.0]]), np.array([True, True]), *sizes)
    assert weights.tolist() == [1, 0]
    assert maps.max() == 0


@given(st.floats(12, 180), st.floats(12, 240))
def test_decoding_a_target_is_within_half_a_heatmap_pixel(x, y):
    maps, weights = heatmap.encode(np.array([[x, y]]), np.array([True]), (192, 256), (48, 64), 2.0)
    found, peak = heatmap.decode(maps[None])
    assert weights.tolist() == [1]
    assert peak[0, 0] == 1
    assert np.abs(found[0, 0] - np.array([x, y]) / 4).max() <= 0.5


@given(peaks)
def test_decoding_is_the_published_one_with_ties_and_empty_maps(maps):
    found, peak = heatmap.decode(maps)
    expected, expected_peak = published.get_quarter_preds(maps)
    assert np.array_equal(found, expected)
    assert np.array_equal(peak, expected_peak)


@pytest.mark.parametrize(
    ("x", "y", "moves"),
    [(1, 5, False), (2, 5, True), (10, 5, True), (11, 5, False), (5, 1, False), (5, 2, True), (5, 12, True)],
)
def test_the_quarter_offset_spares_columns_0_1_and_last_and_rows_likewise(x, y, moves):
    maps = np.zeros((1, 1, 14, 12), np.float32)
    maps[0, 0, y, x] = 1
    maps[0, 0, y, x - 1] = maps[0, 0, y - 1, x] = 0.5
    found, _ = heatmap.decode(maps)
    quarter = 0.25 if moves else 0
    assert found[0, 0].tolist() == [x - quarter, y - quarter]


@given(arrays.arrays(np.float32, (2, 17, 3, 8), elements=st.floats(-1, 1, width=32)), st.booleans())
def test_flipping_back_is_the_published_one(maps, shift):
    before = maps.copy()
    assert np.array_equal(
        heatmap.flip_back(maps, COCO.flip_order, shift=shift), published.flip_back(maps, shift)
    )
    assert np.array_equal(maps, before)


def test_the_skeleton_is_pycocotools():
    assert np.array(COCO.oks_sigmas) * 10 == pytest.approx(np.array(published.SIGMAS))
    assert list(COCO.flip_pairs) == published.PAIRS
    for left, right in COCO.flip_pairs:
        assert COCO.joints[left].removeprefix("left_") == COCO.joints[right].removeprefix("right_")
