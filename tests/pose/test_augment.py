"""Draws: pure functions of their key, with the distributions of the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose import augment
from pose.training_section import Augmentation, ColourJitter, Occlusion

REFERENCE = Augmentation()
COUNT = 20_000
STUDY = Augmentation(
    colour_jitter=ColourJitter(brightness=0.2, contrast=0.3, saturation=0.4),
    occlusion=Occlusion(p=0.25, min_area=0.05, max_area=0.1),
)


@pytest.fixture(scope="module")
def drawn() -> list[augment.Parameters]:
    return [augment.draw(STUDY, 7, 1 + i % 50, i) for i in range(COUNT)]


def within(share: float, p: float) -> bool:
    """Whether a share of COUNT draws is within five standard errors of `p`."""
    return abs(share - p) < 5 * math.sqrt(p * (1 - p) / COUNT)


def test_the_scale_is_a_clipped_normal(drawn):
    scales = np.array([p.scale_factor for p in drawn])
    assert scales.min() == pytest.approx(0.7)
    assert scales.max() == pytest.approx(1.3)
    # Clipping at one standard deviation leaves 15.87% at each end.
    tail = 0.5 * math.erfc(1 / math.sqrt(2))
    assert within((scales <= 0.7).mean(), tail)
    assert within((scales >= 1.3).mean(), tail)
    assert abs(scales.mean() - 1) < 0.01


def test_six_in_ten_are_turned_by_a_clipped_normal(drawn):
    turns = np.array([p.rotation_deg for p in drawn])
    assert within((turns != 0).mean(), 0.6)
    assert np.abs(turns).max() == 80
    inner = turns[(turns != 0) & (np.abs(turns) < 80)]
    assert within((np.abs(turns) == 80).mean(), 0.6 * math.erfc(2 / math.sqrt(2)))
    # Standard deviation of a normal cut at two of its own: 0.8796 of it.
    assert inner.std() == pytest.approx(40 * 0.8796, rel=0.03)


def test_half_are_flipped_and_a_quarter_occluded_independently(drawn):
    flips = np.array([p.flip for p in drawn])
    occluded = np.array([p.occluder is not None for p in drawn])
    assert within(flips.mean(), 0.5)
    assert within(occluded.mean(), 0.25)
    assert within((flips & occluded).mean(), 0.125)


def test_colours_and_occluders_stay_in_their_ranges(drawn):
    for name, width in (("brightness", 0.2), ("contrast", 0.3), ("saturation", 0.4)):
        factors = np.array([getattr(p, name) for p in drawn])
        assert 1 - width <= factors.min() < 1 - 0.95 * width
        assert 1 + 0.95 * width < factors.max() <= 1 + width
    rectangles = np.array([p.occluder for p in drawn if p.occluder])
    left, top, width, height = rectangles.T
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-12
    assert (width * height >= 0.05 - 1e-12).all()
    assert (width * height <= 0.1 + 1e-12).all()


@given(st.integers(), st.integers(1, 10**6), st.integers(0, 2**63 - 1))
def test_an_option_leaves_the_other_draws_as_they_were(seed, epoch, annotation):
    plain = augment.draw(REFERENCE, seed, epoch, annotation)
    rich = augment.draw(STUDY, seed, epoch, annotation)
    assert (plain.scale_factor, plain.rotation_deg, plain.flip) == (
        rich.scale_factor,
        rich.rotation_deg,
        rich.flip,
    )
    assert (plain.brightness, plain.contrast, plain.saturation, plain.occluder) == (1, 1, 1, None)


def test_seed_epoch_and_annotation_each_change_the_draw():
    keys = [(s, e, a) for s in range(4) for e in range(1, 5) for a in range(4)]
    assert len({augment.draw(STUDY, *key).brightness for key in keys}) == len(keys)


def test_the_draws_of_a_key_are_those_of_the_first_release():
    """The same key gives the same sample in every version of the project and of NumPy."""
    parameters = augment.draw(STUDY, 0, 1, 1)
    assert parameters.flip
    assert parameters.scale_factor == pytest.approx(1.3)
    assert parameters.brightness == pytest.approx(1.0073277741766595, rel=1e-12)
    assert parameters.occluder == pytest.approx(
        (0.5748570537510026, 0.15095735112072603, 0.18925154572288533, 0.4241812266449316), rel=1e-12
    )
    assert augment.order(0, 1, 8).tolist() == [5, 7, 2, 1, 3, 6, 0, 4]


def test_negative_and_huge_seeds_have_draws_of_their_own():
    seeds = [-1, -2, 2**63, 2**63 + 1, 2**64 - 1024, 0]
    assert len({augment.draw(STUDY, seed, 1, 1).brightness for seed in seeds}) == len(seeds)
    assert augment.draw(STUDY, -1, 1, 1) == augment.draw(STUDY, 2**64 - 1, 1, 1)


@given(st.integers(0, 2**64), st.integers(0, 1000), st.integers(0, 300))
def test_an_order_is_a_permutation(seed, epoch, count):
    assert sorted(augment.order(seed, epoch, count).tolist()) == list(range(count))


def test_every_epoch_and_seed_has_an_order_of_its_own():
    orders = {tuple(augment.order(seed, epoch, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_places_in_an_order_are_uniform():
    first = np.array([augment.order(0, epoch, 10)[0] for epoch in range(4000)])
    counts = np.bincount(first, minlength=10)
    # Chi-square with 9 degrees of freedom: 27.9 has probability 0.001.
    assert ((counts - 400) ** 2 / 400).sum() < 27.9


def test_deviates_are_standard_normal_and_keyed_by_name():
    values = augment.deviates(3, "layer1.0.conv1.weight", (100, 200))
    assert values.shape == (100, 200)
    assert values.dtype == np.float64
    assert abs(values.mean()) < 0.04
    assert values.std() == pytest.approx(1, abs=0.03)
    assert np.abs(values).max() > 3
    assert np.array_equal(values, augment.deviates(3, "layer1.0.conv1.weight", (100, 200)))
    assert not np.array_equal(values, augment.deviates(3, "layer1.0.conv2.weight", (100, 200)))
    assert not np.array_equal(values, augment.deviates(4, "layer1.0.conv1.weight", (100, 200)))


def test_neutral_parameters_change_no_pixel():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(augment.recolour(image, augment.NEUTRAL), image)
    assert np.array_equal(augment.occlude(image, augment.NEUTRAL), image)


def test_recolouring_is_what_its_words_say():
    image = np.random.default_rng(0).integers(60, 190, (20, 30, 3), np.uint8)
    luma = image @ np.array([0.299, 0.587, 0.114])
    darker = augment.recolour(image, augment.Parameters(brightness=0.5))
    assert np.abs(darker - image * 0.5).max() <= 0.501
    grey = augment.recolour(image, augment.Parameters(saturation=0.0))
    assert np.abs(grey - luma[..., None]).max() <= 0.501
    flat = augment.recolour(image, augment.Parameters(contrast=0.0))
    assert np.abs(flat - luma.mean()).max() <= 0.501
    bright = augment.recolour(np.full((2, 2, 3), 250, np.uint8), augment.Parameters(brightness=1.5))
    assert (bright == 255).all()


def test_the_occluder_is_painted_in_the_mean_colour_and_nowhere_else():
    image = np.random.default_rng(0).integers(0, 256, (40, 20, 3), np.uint8)
    before = image.copy()
    painted = augment.occlude(image, augment.Parameters(occluder=(0.25, 0.5, 0.5, 0.25)))
    inside = np.zeros((40, 20), bool)
    inside[20:31, 5:16] = True
    mean = np.round(image.reshape(-1, 3).mean(axis=0))
    assert (painted[inside] == mean).all()
    assert np.array_equal(painted[~inside], image[~inside])
    assert np.array_equal(image, before)
