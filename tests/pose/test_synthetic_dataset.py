"""The built-in dataset on disk: the official layout, repeatable, safe against what is already there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from pycocotools.coco import COCO as CocoApi

from pose.coco import load, read_image
from pose.errors import UserError
from pose.skeleton import COCO
from pose.synthetic import contact_sheet, make, render

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"train_images": 9, "val_images": 4, "seed": 2}


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "coco"
    counts = make(out, **SIZES, processes=1)
    return out, counts


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "copy")


def test_two_processes_write_the_same_bytes_as_one(made, tmp_path):
    seen = []
    make(tmp_path / "two", **SIZES, processes=2, on_progress=lambda done, total: seen.append((done, total)))
    assert digest(tmp_path / "two") == digest(made[0])
    assert seen[-1] == (13, 13)


# pycocotools 2.0 decodes masks through an __array__ that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("source", "images"), [("train2017", 9), ("val2017", 4)])
def test_pycocotools_reads_the_official_layout(made, source, images):
    out, counts = made
    api = CocoApi(str(out / "annotations" / f"person_keypoints_{source}.json"))
    assert len(api.getImgIds()) == images == counts["images"][source.removesuffix("2017")]
    assert len(api.getAnnIds()) == counts["people"][source.removesuffix("2017")]
    category = api.loadCats([1])[0]
    assert category["keypoints"] == list(COCO.joints)
    assert sorted({joint for limb in category["skeleton"] for joint in limb}) == list(range(1, 18))
    for image in api.loadImgs(api.getImgIds()):
        pixels = read_image(out / source / image["file_name"])
        assert pixels.shape == (image["height"], image["width"], 3)
    for annotation in api.loadAnns(api.getAnnIds()):
        assert len(annotation["keypoints"]) == 51
        assert api.annToMask(annotation).sum() == pytest.approx(annotation["area"], rel=0.12, abs=12)


def test_our_own_reader_uses_every_person(made):
    out, counts = made
    assert len(load(out, "train2017")) == counts["people"]["train"]


def test_the_jpeg_is_close_to_the_rendered_image(made):
    pixels = read_image(made[0] / "train2017" / "000000000001.jpg")
    assert np.abs(pixels.astype(float) - render(2, 1)[0]).mean() < 4


def test_validation_images_do_not_depend_on_the_training_count(made, tmp_path):
    make(tmp_path / "few", train_images=1, val_images=4, seed=2, processes=1)
    first, second = digest(tmp_path / "few"), digest(made[0])
    names = [name for name in first if name.startswith("val2017")]
    assert len(names) == 4
    assert all(first[name] == second[name] for name in names)


def test_a_complete_dataset_is_left_alone(copy):
    stamps = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    counts = make(copy, **SIZES, processes=1)
    assert counts["rendered"] is False
    assert counts["images"] == {"train": 9, "val": 4}
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == stamps


@pytest.mark.parametrize("change", [{"seed": 3}, {"train_images": 8}, {"size": (160, 120)}])
def test_a_dataset_of_other_parameters_is_refused(copy, change):
    before = digest(copy)
    with pytest.raises(UserError, match=f"{next(iter(change))} .*wanted"):
        make(copy, **{**SIZES, **change})
    assert digest(copy) == before


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UserError, match="no built-in dataset"):
        make(tmp_path, **SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_process_was_writing_is_no_obstacle(made, tmp_path):
    (tmp_path / ".synthetic.x1y2.json").write_text("{")
    make(tmp_path, **SIZES, processes=1)
    assert digest(tmp_path).items() >= digest(made[0]).items()


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    script = f"""
from pathlib import Path
from pose.synthetic import make
if __name__ == "__main__":
    make(Path({str(tmp_path / "new")!r}), train_images=5000, val_images=1, processes=2)
"""
    (tmp_path / "script.py").write_text(script)
    parent = psutil.Popen(
        [sys.executable, tmp_path / "script.py"], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("new/train2017/*.jpg")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = parent.children(recursive=True)
    assert len(workers) >= 2
    parent.kill()
    parent.wait()
    alive = psutil.wait_procs(workers, timeout=15)[1]
    for worker in alive:
        worker.kill()
    assert alive == []


@pytest.mark.parametrize(
    "lost", ["annotations/person_keypoints_val2017.json", "annotations", "train2017/000000000003.jpg"]
)
def test_an_interrupted_dataset_is_finished(made, copy, lost):
    target = copy / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert make(copy, **SIZES, processes=1)["rendered"] is True
    assert digest(copy) == digest(made[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"train_images": 0},
        {"val_images": -1},
        {"seed": -1},
        {"size": (321, 240)},
        {"size": (32, 32)},
        {"processes": 0},
    ],
)
def test_numbers_that_make_no_dataset_are_refused(tmp_path, wrong):
    with pytest.raises(UserError, match="expected"):
        make(tmp_path / "new", **{**SIZES, **wrong})
    assert not (tmp_path / "new").exists()


def test_an_unwritable_place_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        make(tmp_path / "file", **SIZES)
    with pytest.raises(UserError, match="cannot write"):
        make(tmp_path / "file" / "below", **SIZES)


def test_a_contact_sheet_shows_images_and_skeletons(made, tmp_path):
    contact_sheet(made[0], tmp_path / "plain.png", rows=2, columns=3, keypoints=False)
    contact_sheet(made[0], tmp_path / "drawn.png", rows=2, columns=3)
    plain, drawn = read_png(tmp_path / "plain.png"), read_png(tmp_path / "drawn.png")
    assert plain.shape == drawn.shape == (2 * 244 + 4, 3 * 324 + 4, 3)
    assert (plain[:244, :324] == drawn[:244, :324]).all()
    assert (plain[:244, 328:648] != drawn[:244, 328:648]).any()


def test_a_contact_sheet_of_nothing_says_what_to_type(tmp_path):
    with pytest.raises(UserError, match="data make"):
        contact_sheet(tmp_path, tmp_path / "sheet.png")


def test_the_info_block_names_the_generator(made):
    info = json.loads((made[0] / "annotations" / "person_keypoints_val2017.json").read_text())["info"]
    assert info["parameters"]["seed"] == 2
    assert info["parameters"]["generator_version"] == int(info["version"])


def read_png(path):
    return cv2.imread(str(path))
