"""`data check`: every problem is named, and a sound folder has none."""

from __future__ import annotations

import json

import cocofolder
import pytest

from pose import coco
from pose.check import Counts, check
from pose.errors import UserError


def found(root, **options) -> list[tuple[str, str]]:
    return [(problem.kind, problem.where) for problem in check(root, **options).problems]


def joints(*triples) -> dict:
    """Return the fields of a person with these joints, the others unlabelled."""
    values = [v for triple in triples for v in triple]
    return {"keypoints": values + [0] * (51 - len(values)), "num_keypoints": sum(t[2] > 0 for t in triples)}


def test_a_sound_folder_is_counted_and_has_no_problem(drawn):
    report = check(drawn)
    assert report.problems == ()
    rows = [a["keypoints"][2::3] for a in cocofolder.read(drawn)["annotations"]]
    visibility = tuple(sum(row.count(v) for row in rows) for v in (0, 1, 2))
    assert report.counts["train2017"] == Counts(8, 17, 17, 1, 16, visibility)
    assert report.counts["val2017"].used == len(coco.load(drawn, "val2017")) == 6
    assert "train2017: 8 images, 17 annotations (17 people, 1 crowds), 16 used" in report.text()
    assert report.text().endswith("no problem")


def test_real_coco_and_rendered_people_have_no_problem(coco_mini, rendered):
    assert check(rendered).problems == ()
    report = check(coco_mini)
    assert report.problems == ()
    assert (report.counts["train2017"].used, report.counts["val2017"].used) == (86, 68)


PERSON_CASES = {
    "keypoint outside the image": [
        joints((120.5, 5, 2)), joints((5, 91, 1)), joints((-1, 5, 2)), joints((5, -0.5, 2)),
    ],
    "number not finite": [
        joints((float("nan"), 5, 2)), {"area": float("inf")}, {"bbox": [1, 2, float("-inf"), 4]},
    ],
    "wrong number of keypoints": [{"keypoints": [1, 2, 2]}, {"keypoints": None}, {"keypoints": [0] * 52}],
    "wrong visibility": [joints((5, 5, 3)), joints((5, 5, 0.5)), joints((5, 5, -1))],
    "keypoint at the origin": [joints((0, 0, 2)), joints((0, 0, 1))],
    "wrong num_keypoints": [{"num_keypoints": 0}, {"num_keypoints": 99}],
    "unlisted image": [{"image_id": 12345}, {"image_id": None}, {"image_id": [1]}],
    "empty box": [{"bbox": [5, 5, 0, 9]}, {"bbox": [5, 5, 9, -2]}],
    "box outside the image": [{"bbox": [100, 5, 30, 9]}, {"bbox": [5, -9, 9, 9]}, {"bbox": [500, 5, 3, 3]}],
    "malformed annotation": [{"bbox": [1, 2, 3]}, {"bbox": "all"}, {"area": None}, {"keypoints": ["a"] * 51}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "changes"),
    [(kind, changes) for kind, cases in PERSON_CASES.items() for changes in cases],
    ids=str,
)
def test_a_wrong_annotation_is_named(own, kind, changes):
    number = cocofolder.edit_person(own, **changes)
    assert found(own) == [(kind, f"train2017 annotation {number}")]


@pytest.mark.parametrize(
    "changes",
    [
        joints((0, 5, 2), (120, 90, 1)),
        {"bbox": [0, 0, 120, 90]},
        {"bbox": [-0.6, 0, 121.2, 90]},
        joints((-5, 5, 0)),
    ],
    ids=str,
)
def test_what_touches_the_border_or_is_unlabelled_is_no_problem(own, changes):
    cocofolder.edit_person(own, **changes)
    assert found(own) == []


def test_two_problems_of_one_annotation_are_both_named(own):
    cocofolder.edit_person(own, bbox=[5, 5, 0, 0], **joints((500, 5, 2), (5, 500, 2)))
    assert [kind for kind, _ in found(own)] == ["empty box"] + ["keypoint outside the image"] * 2


def test_other_categories_need_no_keypoints(own):
    cocofolder.edit_person(own, category_id=18, keypoints=None, bbox=None, area=None)
    assert found(own) == []
    assert check(own).counts["train2017"].people == 16


@pytest.mark.parametrize("kind", ["image", "annotation"])
def test_duplicate_ids_are_named_within_a_file_and_across_files_that_are_joined(own, kind):
    cocofolder.edit(own, lambda content: content[f"{kind}s"].append(dict(content[f"{kind}s"][0])))
    number = cocofolder.read(own)[f"{kind}s"][0]["id"]
    repeated = [problem for problem in found(own) if problem[0] != "picture listed twice"]
    assert repeated == [(f"duplicate {kind} id", f"{kind} {number}")]
    cocofolder.edit(own, lambda content: content[f"{kind}s"].pop())
    first = cocofolder.read(own, "val2017")[f"{kind}s"][0]
    cocofolder.edit(own, lambda content: content[f"{kind}s"].append(first | {"image_id": 1}))
    expected = (f"duplicate {kind} id", f"{kind} {first['id']}")
    assert expected not in found(own)
    assert expected in found(own, joined=True)
    problem = next(p for p in check(own, joined=True).problems if p.kind == expected[0])
    assert problem.what == "1 times in train2017, 1 times in val2017"


def first_picture(root):
    return root / "train2017" / "000000000001.jpg"


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("missing image", lambda path: path.unlink()),
        ("unreadable image", lambda path: path.write_bytes(b"")),
        ("unreadable image", lambda path: path.write_bytes(b"not a picture")),
        ("unreadable image", lambda path: path.write_bytes(path.read_bytes()[:-40])),
        ("damaged image", lambda path: path.write_bytes(path.read_bytes()[:-600] + path.read_bytes()[-400:])),
        ("unreadable image", lambda path: path.write_bytes(path.read_bytes()[:500])),
    ],
    ids=["missing", "empty", "text", "without its last pixels", "with a hole", "truncated"],
)
def test_a_damaged_picture_is_named(own, kind, damage):
    damage(first_picture(own))
    assert found(own) == [(kind, "train2017 image 1")]
    assert str(first_picture(own)) in check(own).problems[0].what


def test_a_picture_of_another_size_is_named(own):
    cocofolder.edit(own, lambda content: content["images"][0].update(width=140, height=100))
    assert found(own) == [("wrong size", "train2017 image 1")]
    assert "is 120x90; recorded as 140x100" in check(own).problems[0].what


@pytest.mark.parametrize("changes", [{"file_name": None}, {"width": "wide"}, {"height": 0}, {"width": None}])
def test_a_malformed_image_record_is_named(own, changes):
    cocofolder.edit(own, lambda content: content["images"][0].update(changes))
    assert found(own) == [("malformed image", "train2017 image 1")]


def test_records_that_are_no_objects_are_named(own):
    cocofolder.edit(own, lambda content: (content["annotations"].append(7), content["images"].append([])))
    kinds = {kind for kind, _ in found(own)}
    assert {"malformed annotation", "malformed image"} <= kinds


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'{"images": [],\n "annotations": [}', "line 2, column 18"),
        (b"", "line 1, column 1"),
        (b"\xff\xff", "byte 0"),
        (b"[]", "the whole file"),
        (b'{"images": []}', "the whole file"),
        (b"[" * 100_000, "the whole file"),
    ],
)
def test_malformed_json_is_named_with_its_place(own, content, where):
    cocofolder.path(own).write_bytes(content)
    assert found(own) == [("malformed annotation file", f"{cocofolder.path(own)}, {where}")]
    assert set(check(own).counts) == {"val2017"}


def test_an_absent_annotation_file_is_said_and_the_other_is_checked(own):
    cocofolder.path(own).unlink()
    cocofolder.edit_person(own, "val2017", num_keypoints=0)
    assert found(own) == [("wrong num_keypoints", "val2017 annotation 1011")]
    assert "train2017: no annotation file" in check(own).text()


def test_a_folder_that_is_no_coco_folder_is_a_users_mistake(tmp_path):
    for root in (tmp_path, tmp_path / "none"):
        with pytest.raises(
            UserError, match="is no COCO folder; expected annotations/person_keypoints_train2017"
        ):
            check(root)


def test_the_report_is_json_and_its_text_names_every_problem(own):
    first_picture(own).unlink()
    number = cocofolder.edit_person(own, area=float("nan"))
    report = check(own)
    stored = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [row["kind"] for row in stored["problems"]] == ["number not finite", "missing image"]
    assert stored["counts"]["train2017"]["images"] == 8
    lines = report.text().splitlines()
    assert f"number not finite: train2017 annotation {number}: area nan" in lines
    assert lines[-1] == "2 problems"


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_counts_every_image(own, threads):
    seen: list[tuple[int, int]] = []
    check(own, on_progress=lambda *step: seen.append(step), threads=threads)
    assert seen == [(i, 11) for i in range(1, 12)]
