"""Boxes, affines and mirrors, against the published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose import geometry, published

SIZES = st.sampled_from([(192, 256), (288, 384), (96, 128), (256, 256)])
boxes = st.tuples(st.floats(-50, 600), st.floats(-50, 600), st.floats(0, 700), st.floats(0, 700))
angles = st.floats(-80, 80)


@given(boxes, st.integers(1, 640), st.integers(1, 640))
def test_a_box_is_clipped_as_published_unless_only_a_point_is_left(box, width, height):
    expected = published.clean_box(box, width, height)
    found = geometry.clip_box(np.array(box), width, height)
    if expected is None or expected[2] == expected[3] == 0:
        assert found is None
    else:
        assert found.tolist() == pytest.approx(expected, abs=0)


@given(boxes.filter(lambda b: b[2] + b[3] > 1), SIZES)
def test_centre_and_scale_are_the_published_ones(box, size):
    center, scale = geometry.center_scale(np.array(box), size)
    expected_center, expected_scale = published.box_to_center_scale(box, *size)
    assert center.dtype == scale.dtype == np.float32
    assert np.array_equal(center, expected_center)
    assert np.array_equal(scale, expected_scale)


@given(boxes.filter(lambda b: b[2] + b[3] > 1), SIZES, angles, st.booleans())
def test_the_affine_is_the_published_one_bit_for_bit(box, size, angle, inverse):
    center, scale = geometry.center_scale(np.array(box), size)
    found = geometry.affine(center, scale, angle, size, inverse=inverse)
    assert np.array_equal(found, published.get_affine_transform(center, scale, angle, size, inverse))


@given(boxes.filter(lambda b: b[2] + b[3] > 8), SIZES, angles, st.floats(0, 1), st.floats(0, 1))
def test_the_inverse_affine_brings_every_point_back(box, size, angle, u, v):
    center, scale = geometry.center_scale(np.array(box), size)
    there = geometry.affine(center, scale, angle, size)
    back = geometry.affine(center, scale, angle, size, inverse=True)
    point = np.array([box[0] + u * box[2], box[1] + v * box[3]])
    # The three points are float32: at coordinates near 1000 they are off by up to 6e-5.
    assert geometry.apply(back, geometry.apply(there, point)) == pytest.approx(point, abs=0.05)


@given(boxes.filter(lambda b: b[2] + b[3] > 8), SIZES, angles)
def test_the_centre_of_the_box_is_the_middle_of_the_input(box, size, angle):
    center, scale = geometry.center_scale(np.array(box), size)
    middle = geometry.apply(geometry.affine(center, scale, angle, size), center)
    assert middle == pytest.approx([size[0] / 2, size[1] / 2], abs=0.05)


@given(st.integers(1, 2000), st.floats(0, 2000), st.floats(0, 2000))
def test_mirroring_twice_gives_back_the_affine(width, x, y):
    affine = np.array([[1.5, 0.2, 3.0], [-0.2, 1.5, 4.0]])
    twice = geometry.mirrored(geometry.mirrored(affine, width), width)
    assert twice == pytest.approx(affine)
    mirror_x = geometry.apply(geometry.mirrored(affine, width), np.array([x, y]))
    assert mirror_x == pytest.approx(geometry.apply(affine, np.array([width - 1 - x, y])))


def test_points_keep_their_leading_dimensions():
    affine = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    points = np.arange(24.0).reshape(3, 4, 2)
    mapped = geometry.apply(affine, points)
    assert mapped.shape == (3, 4, 2)
    assert mapped[2, 1].tolist() == published.affine_transform(points[2, 1], affine)


def test_what_lies_outside_the_image_is_black():
    image = np.full((40, 40, 3), 200, np.uint8)
    affine = np.array([[1.0, 0.0, 20.0], [0.0, 1.0, 0.0]])
    crop = geometry.warp(image, affine, (64, 48))
    assert crop.shape == (48, 64, 3)
    assert (crop[:, :20] == 0).all()
    assert (crop[:40, 20:60] == 200).all()
    assert (crop[40:] == 0).all()
