"""Split manifests: disjoint, seeded, checksummed, and bound to the annotation files."""

from __future__ import annotations

import json
from pathlib import Path

import cocofolder
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pose import coco, recipe, splits
from pose.errors import UserError

FRACTIONS = recipe.Split(method="fractions", fractions=(0.5, 0.25, 0.25))
BOTH = recipe.Split(method="fractions", fractions=(0.4, 0.3, 0.3), sources=("train2017", "val2017"))


def made(split: recipe.Split, root: Path) -> splits.Manifest | None:
    """Return the manifest, None when a part would have nobody."""
    try:
        return splits.make(split, root)
    except UserError:
        return None


def images(manifest: splits.Manifest) -> dict[str, list[int]]:
    return {name: part.image_ids for name, part in manifest.parts.items() if part}


def test_the_official_split_is_the_two_files(drawn):
    manifest = splits.make(recipe.Split(), drawn)
    assert images(manifest) == {"train": list(range(1, 9)), "val": [101, 102, 103]}
    assert set(manifest.sources) == {"train2017", "val2017"}
    with pytest.raises(UserError, match="'official' split has no part 'test'; it has: train, val"):
        manifest.part("test")


@given(st.integers(0, 2**32), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=60)
def test_every_image_is_in_one_part_and_fractions_hold_within_rounding(drawn, seed, a, b, c):
    if a + b + c == 0:
        return
    fractions = (a / (a + b + c), b / (a + b + c), 1 - a / (a + b + c) - b / (a + b + c))
    fractions = tuple(0.0 if f < 1e-12 else f for f in fractions)
    split = recipe.Split(method="fractions", fractions=fractions, sources=BOTH.sources, seed=seed)
    manifest = made(split, drawn)
    if manifest is None:
        assert any(0 < fraction * 11 <= 1 + 1e-9 for fraction in fractions), "one image at most, rounded away"
        return
    found = images(manifest)
    assert sorted(i for ids in found.values() for i in ids) == [*range(1, 9), 101, 102, 103]
    for name, fraction in zip(splits.PARTS, fractions, strict=True):
        assert abs(len(found.get(name, [])) - fraction * 11) <= 1
        assert (name in found) == (fraction > 0)


@example([1, 1, 0], 5)
@given(st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any), st.integers(1, 40))
def test_no_image_is_lost_to_rounding(weights, count):
    """Half and half of five images once left one out."""
    total = sum(weights)
    fractions = (weights[0] / total, weights[1] / total, weights[2] / total)
    people = coco.Dataset(
        root=None, images=dict.fromkeys(range(count), ("train2017", None)),
        ann_ids=np.arange(count), image_ids=np.arange(count), boxes=np.zeros((count, 4)),
        keypoints_image=np.zeros((count, 17, 2)), labelled=np.ones((count, 17), bool),
    )  # fmt: skip
    parts = splits._divide(recipe.Split(method="fractions", fractions=fractions), people)
    assert sorted(i for part in parts.values() if part for i in part.image_ids) == list(range(count))


def test_the_seed_decides_the_division(drawn):
    again = splits.make(FRACTIONS, drawn)
    other = splits.make(FRACTIONS.model_copy(update={"seed": 1}), drawn)
    assert splits.make(FRACTIONS, drawn) == again
    assert images(other) != images(again)
    assert other.sha256 != again.sha256


def test_a_part_without_people_is_refused(drawn):
    with pytest.raises(UserError, match=r"part 'test' has no usable person \(0 images"):
        splits.make(recipe.Split(method="fractions", fractions=(0.5, 0.49, 0.01)), drawn)


def test_selecting_gives_exactly_the_people_of_the_parts_images(drawn):
    for split in (FRACTIONS, BOTH, recipe.Split()):
        manifest = splits.make(split, drawn)
        people: list[int] = []
        for name in images(manifest):
            dataset = splits.select(manifest, drawn, name)
            assert set(dataset.image_ids.tolist()) <= set(manifest.part(name).image_ids)
            assert dataset.ann_ids.tolist() == manifest.part(name).annotation_ids
            assert sorted(dataset.images) == manifest.part(name).image_ids
            people += dataset.ann_ids.tolist()
        loaded = coco.merge([coco.load(drawn, source) for source in manifest.sources])
        assert sorted(people) == sorted(loaded.ann_ids.tolist())


def test_the_ground_truth_is_of_the_parts_images(drawn):
    manifest = splits.make(BOTH, drawn)
    for name in splits.PARTS:
        truth = splits.ground_truth(manifest, drawn, name)
        assert sorted(i["id"] for i in truth["images"]) == manifest.part(name).image_ids
        assert {a["image_id"] for a in truth["annotations"]} <= set(manifest.part(name).image_ids)


@pytest.mark.parametrize("split", [FRACTIONS, BOTH, recipe.Split()])
def test_a_manifest_comes_back_from_its_file(drawn, tmp_path, split):
    manifest = splits.make(split, drawn)
    splits.save(manifest, tmp_path / "split.json")
    assert splits.read(tmp_path / "split.json") == manifest
    assert json.loads((tmp_path / "split.json").read_text())["sha256"] == manifest.sha256


def leaves(value, path=()):
    """Yield the path of every number and string inside a JSON value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    elif value is not None:
        yield path


@settings(max_examples=80)
@given(st.data())
def test_any_change_to_a_manifest_is_noticed(drawn, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "changed.json"
    splits.save(splits.make(FRACTIONS, drawn), path)
    content = json.loads(path.read_text())
    chosen = data.draw(st.sampled_from([p for p in leaves(content) if p != ("schema",)]))
    place = content
    for key in chosen[:-1]:
        place = place[key]
    old = place[chosen[-1]]
    place[chosen[-1]] = old + 1 if isinstance(old, int) else data.draw(st.text().filter(lambda t: t != old))
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"SHA-256 differs|is no split manifest"):
        splits.read(path)


def test_an_id_moved_or_dropped_is_noticed(drawn, tmp_path):
    path = tmp_path / "split.json"
    for kind in ("image_ids", "annotation_ids"):
        splits.save(splits.make(FRACTIONS, drawn), path)
        content = json.loads(path.read_text())
        moved = content["parts"]["train"][kind].pop()
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="SHA-256 differs"):
            splits.read(path)
        content["parts"]["val"][kind].append(moved)
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match="SHA-256 differs"):
            splits.read(path)


def test_an_image_in_two_parts_is_refused_even_with_a_right_checksum(drawn, tmp_path):
    made = splits.make(FRACTIONS, drawn)
    shared = splits.Part(made.part("val").image_ids + made.part("train").image_ids[:1], [])
    splits.save(
        splits.Manifest(made.method, made.seed, made.sources, made.parts | {"val": shared}), tmp_path / "s"
    )
    with pytest.raises(UserError, match=f"image {made.part('train').image_ids[0]} is in two parts"):
        splits.read(tmp_path / "s")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"parts": []}', '{"parts": {"train": {"x": 1}}}', "null", "7"]
)
def test_what_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(UserError, match=r"s\.json"):
        splits.read(tmp_path / "s.json")


def test_a_changed_annotation_file_is_noticed(own):
    manifest = splits.make(FRACTIONS, own)
    splits.select(manifest, own, "train")
    cocofolder.edit_person(own, area=1.5)
    with pytest.raises(UserError, match="is not the file that the split was made from"):
        splits.select(manifest, own, "train")


def test_a_missing_annotation_file_is_a_users_mistake(own):
    manifest = splits.make(FRACTIONS, own)
    cocofolder.path(own).unlink()
    with pytest.raises(UserError, match="No such file"):
        splits.select(manifest, own, "train")
    with pytest.raises(UserError, match="No such file"):
        splits.make(FRACTIONS, own)
