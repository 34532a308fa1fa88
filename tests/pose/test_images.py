"""Reading JPEGs: pixels as they are, and a refusal for every file that is not whole."""

from __future__ import annotations

import contextlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pose.errors import UserError
from pose.images import read_image

PIXELS = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (64, 48))


def jpeg(**options) -> bytes:
    """Return PIXELS (RGB) as a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


def with_thumbnail() -> bytes:
    """Return a JPEG whose EXIF segment holds a small JPEG with an end marker of its own."""
    thumbnail = io.BytesIO()
    Image.fromarray(PIXELS[:8, :8]).save(thumbnail, "JPEG")
    body, inside = jpeg(), b"Exif\0\0" + thumbnail.getvalue()
    return body[:2] + b"\xff\xe1" + (len(inside) + 2).to_bytes(2) + inside + body[2:]


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}]
)
def test_pixels_are_those_of_pil_in_rgb(tmp_path, options):
    (tmp_path / "a.jpg").write_bytes(jpeg(**options))
    found = read_image(tmp_path / "a.jpg")
    assert np.array_equal(found, np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB")))
    assert np.abs(found.astype(int) - PIXELS).mean() < 4


def test_a_grey_image_has_three_equal_channels(tmp_path):
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "grey.jpg")
    found = read_image(tmp_path / "grey.jpg")
    assert found.shape == (48, 64, 3)
    assert np.array_equal(found[..., 0], found[..., 2])


def test_exif_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(jpeg(exif=exif))
    assert read_image(tmp_path / "turned.jpg").shape == (48, 64, 3)


def test_bytes_after_the_end_do_no_harm(tmp_path):
    (tmp_path / "long.jpg").write_bytes(jpeg() + bytes(9000))
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert np.array_equal(read_image(tmp_path / "long.jpg"), read_image(tmp_path / "a.jpg"))


def test_a_thumbnail_does_no_harm(tmp_path):
    (tmp_path / "t.jpg").write_bytes(with_thumbnail())
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert np.array_equal(read_image(tmp_path / "t.jpg"), read_image(tmp_path / "a.jpg"))


@settings(max_examples=300)
@given(
    st.sampled_from([jpeg(), jpeg(progressive=True), with_thumbnail()]).flatmap(
        lambda data: st.integers(0, len(data) - 3).map(lambda cut: data[:cut])
    )
)
def test_a_jpeg_cut_at_any_byte_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut.jpg"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"is truncated|is no readable image"):
        read_image(path)


@settings(max_examples=150)
@given(st.integers(0, len(jpeg()) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_an_image_or_a_refusal(tmp_path_factory, at, value):
    data = bytearray(jpeg())
    data[at] = value
    path = tmp_path_factory.getbasetemp() / "changed.jpg"
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        assert read_image(path).dtype == np.uint8


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"GIF89a", b"text\n", b"\0" * 5000])
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "not.jpg").write_bytes(data)
    with pytest.raises(UserError, match=r"not\.jpg .*copy it again"):
        read_image(tmp_path / "not.jpg")


def test_a_header_of_billions_of_pixels_is_refused(tmp_path):
    data = jpeg()
    sizes = data.index(b"\xff\xc0") + 5
    (tmp_path / "huge.jpg").write_bytes(data[:sizes] + (65000).to_bytes(2) * 2 + data[sizes + 4 :])
    with pytest.raises(UserError, match=r"huge\.jpg is no readable image"):
        read_image(tmp_path / "huge.jpg")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="Is a directory"):
        read_image(tmp_path)
