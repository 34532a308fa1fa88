"""A part is used without the other parts' files, and one's own data set needs no official names."""

from __future__ import annotations

import json
import shutil

import mini_coco
import pytest
import twins
from typer.testing import CliRunner

from bench.run.folder import Settings
from bench.stages import preparing
from pose import architecture, coco, recipe, splits, weights
from pose.check import check
from pose.errors import UserError
from twinpose.cli import app


@pytest.fixture
def val_alone(tmp_path):
    root = tmp_path / "c"
    documents = mini_coco.build(root, train=0)
    (tmp_path / "p.json").write_text(json.dumps(mini_coco.perfect(documents["val2017"])))
    return root


def typed(*words):
    """Return the exit code and all that was said."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, UserError):
        return 2, str(result.exception)
    return result.exit_code, result.output


def test_val_alone_is_scored_split_sampled_and_checked(val_alone, tmp_path):
    for more in ([], ["--recipe", "smoke"]):
        code, said = typed("eval", "--predictions", tmp_path / "p.json", "--coco", val_alone, *more)
        assert (code, said.split()[:2]) == (0, ["AP", "1.000"])
    with_sample = ("data", "sample", "--recipe", "smoke", "--coco", val_alone, "--split", "val")
    assert typed(*with_sample, "--ann", 1, "--out", tmp_path / "s.npz")[0] == 0
    code, said = typed("data", "check", "--coco", val_alone)
    assert code == 0
    assert "train2017: no annotation file" in said
    code, said = typed(
        "data", "split", "--recipe", "smoke", "--coco", val_alone, "--out", tmp_path / "s.json"
    )
    assert code == 0
    assert "val: 3 images, 3 people" in said
    assert splits.read(tmp_path / "s.json").parts["train"] is None


def test_a_part_of_a_manifest_needs_its_own_files_alone(tmp_path):
    mini_coco.build(tmp_path)
    manifest = splits.make(recipe.Split(), tmp_path)
    mini_coco.path(tmp_path, "train2017").unlink()
    assert len(splits.select(manifest, tmp_path, "val")) == 3
    assert len(splits.ground_truth(manifest, tmp_path, "val")["images"]) == 3
    with pytest.raises(UserError, match=r"train2017\.json: No such file .* --coco DIR"):
        splits.select(manifest, tmp_path, "train")


@pytest.mark.parametrize("verb", ["eval", "sample"])
def test_a_part_that_the_split_has_not_is_said(val_alone, tmp_path, verb):
    words = {
        "eval": ["eval", "--predictions", tmp_path / "p.json"],
        "sample": ["data", "sample", "--recipe", "smoke", "--ann", 1, "--out", tmp_path / "s.npz"],
    }
    code, said = typed(*words[verb], "--coco", val_alone, "--split", "test")
    assert code == 2
    assert "the 'official' split has no part 'test'; it has: train, val" in said


def test_given_weights_need_no_training_part_and_a_training_does(val_alone, tmp_path):
    settings, given = Settings(val_alone, None, "cpu", 2, 1), tmp_path / "w.safetensors"
    described = architecture.build(twins.tiny().model)
    weights.save(given, weights.initial(described, 0))
    made = preparing.prepare(tmp_path / "run", twins.tiny(), settings, given)
    manifest = splits.read(made.split_file)
    assert [name for name in splits.PARTS if manifest.parts[name]] == ["val"]
    assert manifest.at_hand("train") == manifest.at_hand("val") == "val"
    with pytest.raises(UserError, match=r"person_keypoints_train2017\.json: No such file"):
        preparing.prepare(tmp_path / "other", twins.tiny(), settings)


def test_the_part_at_hand_is_the_wanted_one_where_there_is_a_choice(tmp_path):
    mini_coco.build(tmp_path)
    manifest = splits.make(recipe.Split(), tmp_path)
    assert (manifest.at_hand("train"), manifest.at_hand("val")) == ("train", "val")


OWN = {
    "train": {"annotations": "labels/mine.json", "images": "pictures/a"},
    "val": {"annotations": "labels/yours.json", "images": "pictures/b"},
}


def own(root, **more):
    """Return a recipe of a data set without official names, which lies in `root`."""
    mini_coco.build(root)
    for source, files in zip(coco.SOURCES, OWN.values(), strict=True):
        for path in files.values():
            (root / path).parent.mkdir(exist_ok=True)
        shutil.move(mini_coco.path(root, source), root / files["annotations"])
        shutil.move(root / source, root / files["images"])
    raw = recipe.load("smoke").model_dump(mode="json")
    return recipe.from_dict(raw | {"data": {"files": OWN | more}})


def test_a_recipe_names_the_files_of_its_parts(tmp_path):
    wanted = own(tmp_path)
    manifest = splits.of(wanted, tmp_path)
    for part, count in (("train", 6), ("val", 3)):
        people = splits.select(manifest, tmp_path, part)
        assert people.image_path(int(people.image_ids[0])).parent == tmp_path / OWN[part]["images"]
        assert people.read(0).shape == (mini_coco.HEIGHT, mini_coco.WIDTH, 3)
        assert len(splits.ground_truth(manifest, tmp_path, part)["annotations"]) == count
        assert len(splits.people(manifest, tmp_path, part)) == count
    splits.save(manifest, tmp_path / "s.json")
    assert splits.read(tmp_path / "s.json") == manifest
    assert check(tmp_path, splits.layout(wanted.data)).problems == ()
    with pytest.raises(UserError, match="is no COCO folder"):
        check(tmp_path)


def test_a_file_of_a_test_part_makes_the_official_split_one_of_three(tmp_path):
    wanted = own(tmp_path, test=OWN["val"])
    manifest = splits.of(wanted, tmp_path)
    assert len(splits.select(manifest, tmp_path, "test")) == 3


def test_files_may_lie_anywhere_and_fractions_divide_them(tmp_path):
    wanted = own(tmp_path / "c")
    files = {name: str(tmp_path / "c" / path) for name, path in OWN["train"].items()}
    raw = wanted.model_dump(mode="json")
    raw["data"]["files"] = {"train": files}
    raw["split"] = {"method": "fractions", "fractions": [0.5, 0.25, 0.25]}
    manifest = splits.of(recipe.from_dict(raw), tmp_path / "elsewhere")
    assert sum(len(splits.select(manifest, tmp_path, name)) for name in splits.PARTS) == 6


def test_the_official_layout_leaves_recipe_and_manifest_as_they_were(tmp_path):
    mini_coco.build(tmp_path)
    wanted = recipe.load("smoke")
    assert "files" not in wanted.model_dump(mode="json")["data"]
    assert "files" not in splits.of(wanted, tmp_path).content()
    assert recipe.from_dict(wanted.model_dump(mode="json")) == wanted


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train": {"annotations": "a.json"}}, "images: Field required"),
        ({"train": {"annotations": "", "images": "i"}}, "annotations"),
        ({"valid": OWN["val"]}, "unknown key 'data.files.valid'; did you mean 'val'?"),
    ],
)
def test_wrong_files_of_a_recipe_are_named(files, words):
    raw = recipe.load("smoke").model_dump(mode="json")
    with pytest.raises(UserError) as refusal:
        recipe.from_dict(raw | {"data": {"files": files}})
    assert words in str(refusal.value)


def test_rendered_people_have_no_files_of_their_own():
    with pytest.raises(UserError, match="synthetic and files are two data sets"):
        recipe.load("smoke", ["data.files.val.annotations=a.json", "data.files.val.images=i"])
