"""Pictures at the edges: ended early, damaged inside, turned by EXIF, no JPEG at all."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pose import coco
from pose.check import check
from pose.errors import UserError
from pose.images import as_jpeg, decode, decoders_words, read_image
from pose.synthetic import make

PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (64, 48))
HERE = Path("a.jpg")


def encoded(kind: str = "JPEG", pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


BASELINE = {
    "plain": encoded(quality=95),
    "optimised": encoded(optimize=True),
    "restarts": encoded(quality=95, restart_marker_blocks=2),
    "rows": encoded(quality=95, restart_marker_rows=1),
    "grey": encoded(pixels=PIXELS[..., 0], quality=95),
    "flat": encoded(pixels=np.full_like(PIXELS, 128)),
}


@pytest.mark.parametrize("name", BASELINE)
def test_a_jpeg_without_its_end_marker_is_read_and_one_that_lacks_any_pixel_is_refused(name: str) -> None:
    data = BASELINE[name]
    whole = decode(data, HERE)
    for cut in (1, 2):
        assert np.array_equal(decode(data[:-cut], HERE), whole)
    for cut in range(3, len(data)):
        with pytest.raises(UserError, match=r"a\.jpg is (truncated|no readable image)"):
            decode(data[:-cut], HERE)


@pytest.mark.parametrize("reserved", [64, 5000])
def test_a_download_that_ended_in_reserved_space_is_refused(reserved: int) -> None:
    with pytest.raises(UserError, match="is truncated"):
        decode(BASELINE["plain"][:-200] + bytes(reserved), HERE)


def test_a_progressive_jpeg_that_may_lack_a_scan_is_refused() -> None:
    data = encoded(progressive=True)
    ends = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    for end in (*ends[1:], len(data) - 2):
        with pytest.raises(UserError, match="is truncated"):
            decode(data[:end], HERE)


def test_fill_bytes_before_a_marker_are_legal() -> None:
    """ITU-T T.81, B.1.1.2: any marker may be preceded by any number of 0xFF."""
    data = BASELINE["plain"]
    tables = data.index(b"\xff\xdb")
    assert np.array_equal(decode(data[:tables] + b"\xff" * 3 + data[tables:], HERE), decode(data, HERE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make(tmp_path / "coco", train_images=3, val_images=2, seed=3, processes=1)
    return tmp_path / "coco"


def test_check_names_the_picture_that_its_decoder_had_to_mend(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = sorted((folder / "val2017").iterdir())[1]
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + data[middle + 300 :])
    found = check(folder).problems
    assert [(one.kind, str(path) in one.what, "Corrupt JPEG data" in one.what) for one in found] == [
        ("damaged image", True, True)
    ]
    assert "Corrupt" not in capfd.readouterr().err


def test_what_decoders_say_is_heard_and_nothing_else_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    data = BASELINE["plain"]
    with decoders_words() as said:
        decode(data[:900] + data[1200:], HERE)
    assert len(said) == 1
    assert said[0].startswith("Corrupt JPEG data")
    with decoders_words() as said:
        decode(data, HERE)
    assert said == []
    assert capfd.readouterr().err == ""


def turn(path: Path, size: tuple[int, int]) -> None:
    """Write a picture of `size` as displayed (width, height), stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((size[0], size[1], 3), np.uint8)
    path.write_bytes(encoded(pixels=pixels, exif=exif))


def test_a_picture_that_exif_turns_is_refused_by_that_name(folder: Path) -> None:
    instances = coco.load(folder, "val2017")
    record = instances.record(0)
    turn(instances.image_path(record.id), (record.width, record.height))
    with pytest.raises(UserError, match=r"as EXIF turns it for display, which COCO does not"):
        instances.read(0)
    (problem,) = check(folder).problems
    assert problem.kind == "wrong size"
    assert "EXIF" in problem.what


def test_a_picture_of_a_wrong_size_is_not_blamed_on_exif(folder: Path) -> None:
    instances = coco.load(folder, "val2017")
    record = instances.record(0)
    cv2.imwrite(str(instances.image_path(record.id)), np.zeros((record.width, record.height, 3), np.uint8))
    with pytest.raises(UserError, match=r"its annotation says \d+x\d+; run"):
        instances.read(0)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_a_picture_of_another_format_becomes_a_jpeg_for_the_report(kind: str) -> None:
    made = as_jpeg(encoded(kind), HERE)
    assert made.startswith(b"\xff\xd8")
    assert np.abs(decode(made, HERE).astype(int) - PIXELS).mean() < 8


def test_a_jpeg_is_shown_as_it_is_and_what_is_no_image_is_refused() -> None:
    assert as_jpeg(BASELINE["plain"], HERE) == BASELINE["plain"]
    with pytest.raises(UserError, match="is no readable image"):
        as_jpeg(b"text", HERE)


@pytest.mark.parametrize("first", [b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>"])
def test_what_lies_in_the_place_of_a_picture_is_said(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(first)
    with pytest.raises(UserError, match=r"is no readable image .*\(it is (a Git LFS pointer|HTML)"):
        read_image(tmp_path / "a.jpg")
