"""Rung 8: post-processing passes on cases that are hard, and its known mistakes are seen."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bench.parity.certificate import Check
from bench.parity.rungs import cases, postprocessing
from bench.parity.rungs.base import Context
from pose import evaluate


def failed(checks: list[Check]) -> dict[str, str | None]:
    """Return what of `checks` failed, by the first word of its name, and in which case."""
    return {re.match(r"[\w-]+", c.name)[0]: c.where for c in checks if c.passed is False}


def test_post_processing_is_the_published_one_on_hundreds_of_cases(context: Context):
    checks = postprocessing.climb(context)
    assert failed(checks) == {}
    assert all(int(check.note.split(" ")[0]) >= 200 for check in checks)
    assert [check.measured for check in checks if check.bound == 0] == [0] * 4


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        ("swapped_flip_pair", {"flip"}),
        ("mirror_not_shifted", {"flip"}),
        ("half_pixel_shift", {"keypoints"}),
        ("quarter_offset_everywhere", {"decoding", "keypoints"}),
        ("threshold_included", {"rescoring", "results"}),
        ("sigmas_of_a_tenth", {"OKS", "OKS-NMS", "results"}),
        ("earlier_of_equals_first", {"OKS-NMS", "results"}),
        ("area_without_pixels", {"keypoints", "results"}),
    ],
)
def test_a_mistake_in_post_processing_is_seen_and_its_case_named(context: Context, plant, kinds):
    found = failed(postprocessing.climb(replace(context, plants={"shared": f"plants:{plant}"})))
    assert set(found) == kinds
    known = {maps.name for maps in cases.maps(context.recipe.model.heatmap_size)}
    known |= {crowd.name for crowd in cases.crowds()}
    for where in found.values():
        assert re.sub(r", (not )?shifted$", "", where) in known


def test_the_cases_are_the_same_every_time_and_each_has_a_name_of_its_own():
    first, second = list(cases.maps((24, 32))), list(cases.maps((24, 32)))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.straight, b.straight)
        assert np.array_equal(a.mirrored, b.mirrored)
    crowds = list(cases.crowds())
    for a, b in zip(crowds, cases.crowds(), strict=True):
        assert np.array_equal(a.keypoints, b.keypoints)
    names = [case.name for case in (*first, *crowds)]
    assert len(set(names)) == len(names)


def test_the_maps_meet_what_they_are_named_for():
    corners: Counter[str] = Counter()
    for maps in cases.maps((24, 32)):
        n, k, h, w = maps.straight.shape
        assert maps.straight.dtype == maps.mirrored.dtype == np.float32
        flat = maps.straight.reshape(n, k, h * w)
        highest = flat.max(axis=2, keepdims=True)
        kind = maps.name.split(" ")[0]
        corners[f"{kind} tied"] += int(((flat == highest).sum(axis=2) > 1).sum())
        corners[f"{kind} not positive"] += int((highest <= 0).sum())
        y, x = np.divmod(flat.argmax(axis=2), w)
        for name, column in (("0", 0), ("1", 1), ("W-2", w - 2), ("W-1", w - 1)):
            corners[f"{kind} column {name}"] += int(((x == column) & (w > 4)).sum())
        for name, row in (("0", 0), ("1", 1), ("H-2", h - 2), ("H-1", h - 1)):
            corners[f"{kind} row {name}"] += int(((y == row) & (h > 4)).sum())
    assert corners["ties tied"] > 500
    assert corners["negative not positive"] == 17 * sum(
        len(m.straight) for m in cases.maps((24, 32)) if m.name.startswith("negative")
    )
    assert all(corners[f"border {line} {at}"] > 50 for line in ("row", "column") for at in "01")
    assert all(corners[f"border column W-{at}"] > 50 for at in "12")
    assert all(corners[f"border row H-{at}"] > 50 for at in "12")


@pytest.mark.parametrize("kind", [kind for kind in cases.CROWDS if kind != "nobody"])
def test_of_every_crowd_some_people_stay_and_some_go(kind):
    people = kept = 0
    for crowd in cases.crowds():
        if crowd.name.startswith(kind):
            parts = (crowd.keypoints, crowd.joint_scores, crowd.image_ids, crowd.box_scores, crowd.scales)
            rows = evaluate.results(*parts, crowd.options)
            people, kept = people + len(crowd.keypoints), kept + len(rows)
    assert 0.5 * people < kept < 0.9 * people
