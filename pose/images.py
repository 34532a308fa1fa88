"""Decodes the dataset's images, and refuses those that are not whole."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from pose.errors import UserError
from pose.files import read_bytes
from pose.magic import also

JPEG = b"\xff\xd8"
_PROGRESSIVE, _SCAN, _END = b"\xff\xc2", b"\xff\xda", b"\xff\xd9"
_RESERVED = bytes(64)
_COMMON = (JPEG, b"\x89PNG", b"GIF8")
JPEG_QUALITY = 92


def read_image(path: Path) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB, EXIF orientation ignored as the reference does.

    Raises UserError for a file that is missing, truncated or no image.
    """
    return decode(read_bytes(path, "a JPEG of the dataset"), path)


def decode(data: bytes, path: Path) -> np.ndarray:
    """Return the bytes of the image at `path` as (H, W, 3) uint8 RGB, as `read_image` does.

    Raises UserError naming `path` when they are truncated or no image.
    """
    if data.startswith(JPEG) and data.rfind(_END) < data.rfind(_SCAN):
        data = _ended(data, path)
    pixels = _decode(data)
    if pixels is None:
        raise UserError(
            f"{path} is no readable image ({len(data)} bytes){also(path)}; expected a JPEG; copy it again"
        )
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _decode(data: bytes) -> np.ndarray | None:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # no bytes at all, or a header with more pixels than OpenCV allows
        return None


def _ended(data: bytes, path: Path) -> bytes:
    """Return a JPEG that lacks its end marker with it; UserError when pixels are missing too.

    The decoder invents missing pixels in silence. They are missing where the bytes that come after change
    what it decodes. A progressive JPEG might lack a whole scan, which no byte shows: it is refused.
    """
    body = data.removesuffix(b"\xff")  # half an end marker
    if body.endswith(_RESERVED):  # a download that ended before the space that was reserved for it
        body = body.rstrip(b"\0")
        body += b"\0" if body.endswith(b"\xff") else b""
    tails = (b"", *(_restarts(filler) for filler in (b"\x5a", b"\xa5")))
    seen = [_decode(body + tail + _END) for tail in tails]
    whole = np.zeros(0) if seen[0] is None else seen[0]
    several = _PROGRESSIVE in data or data.count(_SCAN, data.rfind(_END) + 1) > 1
    if several or not all(one is not None and np.array_equal(one, whole) for one in seen):
        raise UserError(
            f"{path} is truncated ({len(data)} bytes, no end marker); expected a whole JPEG; copy it again"
        )
    return body + _END


def _restarts(filler: bytes) -> bytes:
    """Return bytes that are read as pixels where any are missing, also right before a restart marker."""
    return filler * 64 + b"".join(bytes([0xFF, 0xD0 + i]) + filler * 64 for i in range(8))


def as_jpeg(data: bytes, path: Path) -> bytes:
    """Return the bytes of the image at `path` as a JPEG: as they are, or encoded anew.

    Raises UserError as `decode`.
    """
    if data.startswith(JPEG):
        return data
    pixels = cv2.cvtColor(decode(data, path), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def require_common(path: Path) -> None:
    """Raise UserError for an image at `path` that not every framework's own decoder reads."""
    with open(path, "rb") as file:
        if not file.read(4).startswith(_COMMON):
            raise UserError(
                f"{path} is no JPEG, PNG or GIF, which the frameworks' own decoders share; "
                "give --set data.pipeline=shared"
            )


def is_turned(path: Path) -> bool:
    """Return whether a JPEG's EXIF says to show it with width and height exchanged."""
    data = np.frombuffer(read_bytes(path, "a JPEG of the dataset"), np.uint8)
    shown = cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    stored = cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION)
    if shown is None or stored is None:
        return False
    return bool(shown.shape != stored.shape and shown.shape == stored.shape[::-1])


@contextmanager
def decoders_words() -> Iterator[list[str]]:
    """Yield a list that holds, once the block has ended, what libjpeg and libpng said of what they mended.

    They write to the process's standard error and name no file; nothing reaches it meanwhile.
    """
    said: list[str] = []
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said += [line for line in file.read().decode(errors="replace").splitlines() if line]
