"""Decodes the dataset's JPEGs, and refuses those that are not whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pose.errors import UserError
from pose.files import read_bytes

_START, _SCAN, _END = b"\xff\xd8", 0xDA, b"\xff\xd9"


def read_image(path: Path) -> np.ndarray:
    """Return a JPEG as (H, W, 3) uint8 RGB, EXIF orientation ignored as the reference does.

    Raises UserError for a file that is missing, truncated or no image.
    """
    return decode(read_bytes(path, "a JPEG of the dataset"), path)


def decode(data: bytes, path: Path) -> np.ndarray:
    """Return the bytes of the JPEG at `path` as (H, W, 3) uint8 RGB, as `read_image` does.

    Raises UserError naming `path` when they are truncated or no image.
    """
    if data.startswith(_START) and data.rfind(_END) < _scan_offset(data):
        raise UserError(
            f"{path} is truncated ({len(data)} bytes, no end marker); expected a whole JPEG; copy it again"
        )
    pixels = _decode(data)
    if pixels is None:
        raise UserError(f"{path} is no readable image ({len(data)} bytes); expected a JPEG; copy it again")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _decode(data: bytes) -> np.ndarray | None:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # no bytes at all, or a header with more pixels than OpenCV allows
        return None


def _scan_offset(data: bytes) -> int:
    """Return where a JPEG's compressed pixels begin, its length when they do not (ITU-T T.81, B.1.1).

    The decoder fills what is missing of a truncated file with grey and no error. An end marker in
    the header does not count: it is that of a thumbnail inside the EXIF segment.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == _SCAN:
            return at
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return len(data)
