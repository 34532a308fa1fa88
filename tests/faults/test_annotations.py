"""One reader, one set of rules: what a verb refuses `data check` names, and what is legal all read right."""

from __future__ import annotations

import codecs

import mini_coco
import pytest

from pose import augment, coco, recipe, splits
from pose.check import check
from pose.errors import UserError
from pose.training_section import Augmentation

OFFICIAL = recipe.Split()
READERS = {
    "load": lambda root: coco.load(root, "val2017"),
    "split": lambda root: splits.make(OFFICIAL, root),
    "ground truth": lambda root: coco.ground_truth(root, ["val2017"], [7, 8, 9]),
}


def changed(kind, **fields):
    """Return a change of the first record of a kind."""
    return lambda document, source: document[kind][0].update(fields)


def added(**fields):
    """Return a change that adds an annotation like the first with these fields; ... leaves one out."""

    def change(document, source):
        row = document["annotations"][0] | {"id": 900} | fields
        document["annotations"].append({k: v for k, v in row.items() if v is not ...})

    return change


def without(name):
    """Return a change that takes a field from every annotation."""
    return lambda document, source: [row.pop(name) for row in document["annotations"]]


LEGAL = {
    "iscrowd as booleans": mini_coco.every_person(iscrowd=False),
    "iscrowd null": mini_coco.every_person(iscrowd=None),
    "iscrowd absent": without("iscrowd"),
    "num_keypoints null": mini_coco.every_person(num_keypoints=None),
    "num_keypoints absent": without("num_keypoints"),
    "whole floats in people": lambda document, source: [
        a.update({k: float(a[k]) for k in ("id", "image_id", "category_id", "iscrowd", "num_keypoints")})
        for a in document["annotations"]
    ],
    "whole floats in images": lambda document, source: [
        i.update({k: float(i[k]) for k in ("id", "width", "height")}) for i in document["images"]
    ],
    "odd fields that nobody reads": lambda document, source: [
        row.update(segmentation=float("nan"), score=float("inf"), attributes={"id": [None]}, license="?")
        for row in document["images"] + document["annotations"]
    ],
    "another category without anything": added(category_id=18, bbox=..., area=..., keypoints=...),
    "another category with oddities": added(category_id=2.0, bbox="all", area=None, iscrowd="maybe"),
    "a crowd of booleans": added(iscrowd=True, keypoints=[0] * 51, num_keypoints=0),
    "negative ids": lambda document, source: [a.update(id=-a["id"]) for a in document["annotations"]],
    "the largest ids": lambda document, source: [
        a.update(id=2**63 - a["id"]) for a in document["annotations"]
    ],
    "id 0": changed("annotations", id=0),
}  # fmt: skip


@pytest.mark.parametrize("change", LEGAL.values(), ids=LEGAL)
def test_what_is_legal_is_no_problem_and_is_read_by_all(tmp_path, change):
    mini_coco.build(tmp_path, change=change)
    report = check(tmp_path)
    assert [str(problem) for problem in report.problems] == []
    assert [report.counts[source].used for source in coco.SOURCES] == [6, 3]
    manifest = splits.make(OFFICIAL, tmp_path)
    assert [len(manifest.part(name).annotation_ids) for name in ("train", "val")] == [6, 3]
    assert [len(splits.select(manifest, tmp_path, name)) for name in ("train", "val")] == [6, 3]
    truth = splits.ground_truth(manifest, tmp_path, "val")
    assert sum(not row["iscrowd"] for row in truth["annotations"]) == 3
    assert [row["num_keypoints"] for row in truth["annotations"][:3]] == [17] * 3


@pytest.mark.parametrize(
    "mark",
    [(codecs.BOM_UTF8, "utf-8"), (b"", "utf-16"), (b"", "utf-32"), (codecs.BOM_UTF16_BE, "utf-16-be")],
    ids=str,
)
def test_marks_of_encoding_are_read_by_all(tmp_path, mark):
    mini_coco.build(tmp_path, change=changed("images", note="Größe"))
    for source in coco.SOURCES:
        path = mini_coco.path(tmp_path, source)
        path.write_bytes(mark[0] + path.read_text().encode(mark[1]))
    assert check(tmp_path).problems == ()
    assert len(splits.select(splits.make(OFFICIAL, tmp_path), tmp_path, "val")) == 3


JOINTS = [20.0, 20.0, 2] * 17
WRONG = {
    "iscrowd as text": changed("annotations", iscrowd="0"),
    "iscrowd 2": changed("annotations", iscrowd=2),
    "no category": changed("annotations", category_id=None),
    "category as text": changed("annotations", category_id="1"),
    "id of 2^63": changed("annotations", id=2**63),
    "id of 2^64": changed("annotations", id=2**64),
    "id below -2^63": changed("annotations", id=-(2**63) - 1),
    "id as text": changed("annotations", id="7"),
    "id as boolean": changed("annotations", id=True),
    "id of a half": changed("annotations", id=7.5),
    "image id of 2^63": changed("images", id=2**63),
    "width -1": changed("images", width=-1, height=-1),
    "width 0": changed("images", width=0),
    "width of a half": changed("images", width=160.5),
    "no file name": changed("images", file_name=""),
    "unlisted image": changed("annotations", image_id=2**63),
    "area null": changed("annotations", area=None),
    "area NaN": changed("annotations", area=float("nan")),
    "area as text": changed("annotations", area="5"),
    "box of three": changed("annotations", bbox=[1, 2, 3]),
    "box null": changed("annotations", bbox=None),
    "joints of text": changed("annotations", keypoints=["a"] * 51),
    "joints of 400 digits": changed("annotations", keypoints=[10**400, *JOINTS[1:]]),
    "joints not finite": changed("annotations", keypoints=[float("inf"), *JOINTS[1:]]),
    "25 joints": changed("annotations", keypoints=JOINTS + JOINTS[:24]),
    "a crowd of 26 joints": added(iscrowd=1, keypoints=JOINTS + JOINTS[:27]),
    "26 unlabelled joints": added(keypoints=[0] * 78, num_keypoints=0),
    "an unused person of 16 joints": added(area=0, keypoints=JOINTS[:48]),
    "a crowd with a person's id": lambda document, source: added(id=document["annotations"][0]["id"])(
        document, source
    ),
    "a crowd of no image": added(iscrowd=1, image_id=77),
    "a record that is no object": lambda document, source: document["annotations"].append(7),
    "an image that is no object": lambda document, source: document["images"].append(None),
    "num_keypoints as text": changed("annotations", num_keypoints="17"),
    "category 0 alone": mini_coco.every_person(category_id=0),
}  # fmt: skip
NOT_AT_SCORING = {"category 0 alone"}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_verb_refuses_check_names_and_every_verb_refuses(tmp_path, name):
    mini_coco.build(tmp_path, change=WRONG[name])
    assert check(tmp_path).problems
    readers = {"split"} if name in NOT_AT_SCORING else READERS
    for reader in readers:
        with pytest.raises(UserError, match=r"person_keypoints_(train|val)2017\.json") as refusal:
            READERS[reader](tmp_path)
        assert "\n" not in str(refusal.value)


def test_a_refusal_names_the_record_and_what_was_expected(tmp_path):
    mini_coco.build(tmp_path, change=changed("annotations", iscrowd="0"))
    with pytest.raises(UserError, match=r"got `str` - at `\$.iscrowd`, in annotations\[0\] \(id 7\)"):
        coco.load(tmp_path, "val2017")


def without_people(document, source):
    document["annotations"] = []


UNUSABLE = {
    "no annotation has category_id 1, the person (there are: 0)": mini_coco.every_person(category_id=0),
    "no annotation has category_id 1, the person (there are: no annotation at all)": without_people,
    "of 3 people none can be used: 3 a crowd": mini_coco.every_person(iscrowd=1),
    "of 3 people none can be used: 3 without area": mini_coco.every_person(area=0),
    "of 3 people none can be used: 3 without a labelled joint": mini_coco.every_person(keypoints=[0] * 51),
    "of 3 people none can be used: 3 with nothing of the box inside the image": mini_coco.every_person(
        bbox=[500, 500, 5, 5]
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", UNUSABLE)
def test_a_file_in_which_nobody_can_be_used_says_why(tmp_path, reason):
    mini_coco.build(tmp_path, train=3, change=UNUSABLE[reason])
    named = {problem.where: problem.what for problem in check(tmp_path).problems if "usable" in problem.kind}
    assert named == {"train2017": reason, "val2017": reason}
    with pytest.raises(UserError, match="part 'train' has no usable person") as refusal:
        splits.make(OFFICIAL, tmp_path)
    assert reason in str(refusal.value)


def test_visibilities_between_are_labelled_for_all(tmp_path):
    """As pycocotools has it: above 0 is labelled."""
    mini_coco.build(tmp_path, change=mini_coco.every_person(keypoints=[20, 20, 0.93] * 17))
    report = check(tmp_path)
    assert report.counts["val2017"].visibility == (0, 0, 51)
    assert report.problems[0].what == "joint 0 has 0.93, used as labelled; expected 0, 1 or 2"
    assert coco.load(tmp_path, "val2017").labelled.all()


def test_one_picture_of_two_images_is_named(tmp_path):
    def twice(document, source):
        document["images"][1]["file_name"] = document["images"][0]["file_name"]

    mini_coco.build(tmp_path, train=0, change=twice)
    assert ("picture listed twice", "000000000001.jpg is the file of 2 images") in [
        (problem.kind, problem.what) for problem in check(tmp_path).problems
    ]


def test_ids_may_restart_in_each_file(tmp_path):
    def restarted(document, source):
        first = (document["images"] or [{"id": 1}])[0]["id"] - 1
        for image in document["images"]:
            image["id"] -= first
        for person in document["annotations"]:
            person["id"] -= first
            person["image_id"] -= first

    root, path = tmp_path / "c", tmp_path / "split.json"
    mini_coco.build(root, change=restarted)
    assert check(root).problems == ()
    splits.save(splits.make(OFFICIAL, root), path)
    manifest = splits.read(path)
    for part, folder, count in (("train", "train2017", 6), ("val", "val2017", 3)):
        people = splits.select(manifest, root, part)
        assert people.ann_ids.tolist() == list(range(1, count + 1))
        assert people.image_path(1).parent == root / folder
        assert len(splits.ground_truth(manifest, root, part)["annotations"]) == count
    both = recipe.Split(method="fractions", sources=coco.SOURCES)
    with pytest.raises(UserError, match="image 1 stands in two annotation files"):
        splits.make(both, root)
    assert {p.kind for p in check(root, joined=True).problems} == {
        "duplicate image id", "duplicate annotation id",
    }  # fmt: skip


def test_an_official_manifest_of_overlapping_ids_is_read_and_one_of_fractions_is_not(tmp_path):
    part = splits.Part([1], [1])
    for method in ("official", "fractions"):
        manifest = splits.Manifest(method, None, {"train2017": "a"}, {"train": part, "val": part})
        splits.save(manifest, tmp_path / method)
    assert splits.read(tmp_path / "official").part("val") == part
    with pytest.raises(UserError, match="image 1 is in two parts"):
        splits.read(tmp_path / "fractions")


@pytest.mark.parametrize("number", [-1, -(2**63), 0, 2**63 - 1])
def test_every_id_of_64_bits_draws_an_augmentation_of_its_own(number):
    options = Augmentation()
    drawn = {augment.draw(options, 0, 1, n) for n in (number, 17, -17)}
    assert len(drawn) == 3
