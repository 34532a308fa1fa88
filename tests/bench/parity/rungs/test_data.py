"""Rung 1: equal loaders pass; a loader that differs, and a mistake that both share, are named."""

from __future__ import annotations

import re
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from bench.parity.certificate import Check
from bench.parity.rungs import data, samples
from bench.parity.rungs.base import Context
from pose import splits

ARRAYS = data.ARRAYS["shared"]
Batch = namedtuple("Batch", ["annotation_ids", *ARRAYS])


def failed(checks: list[Check]) -> dict[str, str | None]:
    """Return what of `checks` failed, and where."""
    return {check.name: check.where for check in checks if check.passed is False}


@pytest.fixture(scope="module")
def torchs(context: Context) -> data.Epochs:
    """Return what torch's loader gives."""
    return data.loaded(context, "torch")


@pytest.fixture(scope="module")
def part(context: Context) -> list[int]:
    return splits.read(context.split).part("train").annotation_ids


@pytest.mark.frameworks("tensorflow", "torch")
def test_both_loaders_give_the_same_epoch_whatever_the_workers(context, torchs, part):
    checks = data.between({**data.loaded(context, "tf"), **torchs}, part, ARRAYS)
    assert failed(checks) == {}
    assert [(check.measured, check.bound) for check in checks] == [(0, 0)] * 6
    assert len({check.note.split("running hash ")[1].split(" ")[0] for check in checks}) == 1


@pytest.mark.frameworks("torch")
@pytest.mark.parametrize(
    ("plant", "words"),
    [
        ("blue_green_red", ": images"),
        ("every_joint_counts", ": weights"),
        ("another_order", "sample 0 of the epoch: annotation "),
    ],
)
def test_a_loader_of_its_own_ways_is_named_with_annotation_and_array(context, torchs, part, plant, words):
    planted = replace(context, plants={"torch": f"plants:{plant}"})
    found = {("tf", 0): data.loaded(planted, "torch", [0])["torch", 0], ("torch", 0): torchs["torch", 0]}
    ((name, where),) = failed(data.between(found, part, ARRAYS)).items()
    assert name == "tf with 0 workers: samples that differ from torch with 0 workers"
    assert words in where


def epoch(ids: list[int]) -> list[Batch]:
    """Return batches of two with arrays that depend on the id alone."""
    batches = []
    for start in range(0, len(ids), 2):
        some = np.array(ids[start : start + 2])
        images = np.zeros((len(some), 4, 3, 3), np.uint8) + some[:, None, None, None].astype(np.uint8)
        maps = np.zeros((len(some), 17, 2, 1), np.float32) + some[:, None, None, None].astype(np.float32)
        batches.append(Batch(some, images, maps, np.ones((len(some), 17), np.float32)))
    return batches


def lines(batches: list[Batch]) -> list[str]:
    """Return how `batches` differ from those of annotations 11, 12, 13 and 14."""
    return data.differences(
        data.digested(batches, ARRAYS), data.digested(epoch([11, 12, 13, 14]), ARRAYS), ARRAYS
    )


def test_equal_epochs_do_not_differ_and_one_bit_does():
    batches = epoch([11, 12, 13, 14])
    assert lines(batches) == []
    batches[1].heatmaps[0, 16, 1, 0] = np.nextafter(np.float32(13), np.float32(14))
    assert lines(batches) == ["annotation 13 (sample 2 of the epoch): heatmaps"]
    batches[0].images[1, 3, 2, 1] ^= 1
    batches[0].weights[1, 0] = -0.0
    assert lines(batches)[0] == "annotation 12 (sample 1 of the epoch): images, weights"


def test_another_data_type_with_equal_bytes_differs():
    batches = epoch([11, 12, 13, 14])
    batches[0] = batches[0]._replace(images=batches[0].images.view(np.int8))
    assert lines(batches)[0] == "annotation 11 (sample 0 of the epoch): images"


def test_native_pixels_are_left_out_and_targets_are_not():
    arrays = data.ARRAYS["native"]
    batches, others = epoch([11, 12]), epoch([11, 12])
    batches[0].images[:] = 0
    found = {("tf", 0): data.digested(batches, arrays), ("torch", 0): data.digested(others, arrays)}
    assert failed(data.between(found, [11, 12], arrays)) == {}
    batches[0].weights[1, 3] = 0
    found["tf", 0] = data.digested(batches, arrays)
    (where,) = failed(data.between(found, [11, 12], arrays)).values()
    assert where == "annotation 12 (sample 1 of the epoch): weights"


def test_missing_and_exchanged_samples_are_named_by_place():
    assert lines(epoch([11, 12, 13])) == ["sample 3 of the epoch: annotation None, not 14"]
    assert lines(epoch([11, 13, 12, 14])) == [
        "sample 1 of the epoch: annotation 13, not 12",
        "sample 2 of the epoch: annotation 12, not 13",
    ]


@pytest.mark.parametrize(("ids", "where"), [([1, 2, 3], None), ([1, 2, 2, 3], "2"), ([1, 3], "2")])
def test_an_epoch_that_is_not_every_instance_once_is_noticed(ids, where):
    (check,) = data.between({("torch", 0): data.digested(epoch(ids), ARRAYS)}, [3, 1, 2], ARRAYS)
    assert check.passed is (where is None)
    assert check.where == (where and f"annotation {where}")


@pytest.fixture(scope="module")
def clean(context: Context) -> list[Check]:
    return samples.checks(context)


def test_the_shared_samples_are_the_published_ones(clean, context):
    assert failed(clean) == {}
    measured = {check.name.partition(": ")[2]: check.measured for check in clean}
    assert measured["pixels, grey levels"] == measured["heatmaps"] == measured["weights"] == 0
    count, mirrored = re.fullmatch(r"(\d+) samples of .*, (\d+) of them mirrored", clean[0].note).groups()
    assert 0.3 < int(mirrored) / int(count) < 0.7


def test_a_sigma_that_float32_rounds_costs_the_last_bits_of_heatmaps_and_no_more(context):
    model = context.recipe.model.model_copy(update={"sigma_px": 5 / 3})
    checks = samples.checks(replace(context, recipe=context.recipe.model_copy(update={"model": model})))
    assert failed(checks) == {}
    heatmaps = checks[1]
    assert 0 < heatmaps.measured <= heatmaps.bound == 2**-22


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        ("swapped_flip_pair", {"heatmaps", "weights"}),
        ("half_pixel_shift", {"pixels", "heatmaps", "affine"}),
        ("blue_green_red", {"pixels"}),
        ("every_joint_counts", {"weights"}),
        ("loss_without_weights", {"loss"}),
    ],
)
def test_a_mistake_that_both_twins_share_is_seen_against_the_publication(context, plant, kinds):
    found = failed(samples.checks(replace(context, plants={"shared": f"plants:{plant}"})))
    assert {re.search(r": (\w+)", name)[1] for name in found} == kinds
    for where in found.values():
        assert where.startswith(("annotation ", "seeded batch "))
