"""Files that are either whole or absent: written to a temporary name, then renamed."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pose.errors import UserError

T = TypeVar("T")

TEMPORARY = ".twinpose."
"""Begins every temporary name: what a killed process leaves can be told from anybody's own dotfiles."""


def leftovers(folder: Path, *, but: Container[str] = ()) -> Iterator[Path]:
    """Yield the temporary files below `folder` that a killed process left.

    Hidden folders, links to folders and those called `but` at the top are not entered: nothing of ours is
    written there under such a name.
    """
    for place, folders, names in os.walk(folder):
        top = Path(place) == Path(folder)
        folders[:] = [name for name in folders if not (name.startswith(".") or (top and name in but))]
        yield from (Path(place) / name for name in names if name.startswith(TEMPORARY))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block ends well.

    A block that fails leaves `path` as it was and no temporary file behind. The temporary
    file keeps the suffix of `path`, since writers such as cv2 and matplotlib choose the
    format by it. Raises UserError when the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f"{TEMPORARY}{path.stem}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; expected a writable folder with "
            "enough free space; nothing there was changed"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def require_writable(out: Path, *, but_not: Iterable[Path] = ()) -> None:
    """Raise UserError where `replacing(out)` would fail, or would replace what is read.

    For a verb to ask before its work. but_not: the files that it reads, and folders of such files.
    """
    out = Path(out)
    if str(out) == "-":
        raise UserError("--out -: this is no name for a file here; expected a path, such as ./out")
    if out.exists() and not out.is_file():
        what = "a folder" if out.is_dir() else "no file that can be replaced"
        raise UserError(f"{out} is {what}; expected the path of a file to write")
    place = out.resolve()
    for read in (one.resolve() for one in but_not):
        if place == read or (out.exists() and read in place.parents):
            raise UserError(f"{out} is read by this command, which would overwrite it; expected another path")
    there = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        # Only the attempt tells of read-only file systems, quotas and a folder that is a file.
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {error.strerror or error}; expected a writable folder with "
            "enough free space; nothing there was changed"
        ) from error


def make_folder(path: Path) -> None:
    """Make the folder `path` and its parents; UserError where that is impossible."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {path}: {error.strerror}; expected a writable place for a folder"
        ) from error


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` as strict JSON (no NaN or Infinity) to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name to an .npz file, whole or not at all; its folder is made where there is none."""
    import numpy as np

    make_folder(path.parent)
    with replacing(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **arrays)


def read_bytes(path: Path, expected: str) -> bytes:
    """Return the bytes of `path`; `expected` names the kind of file for the UserError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; expected {expected}") from error


def as_utf8(data: bytes) -> bytes:
    """Return text in UTF-8 without a mark of its encoding; one in UTF-16 or UTF-32 with its mark is turned.

    Raises UnicodeDecodeError where the mark lies.
    """
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    return data.decode(encoding).encode() if encoding else data


def read_json(path: Path, expected: str) -> Any:
    """Return the JSON value in `path`; `expected` names the kind of file for the UserError."""
    try:
        return msgspec.json.decode(as_utf8(read_bytes(path, expected)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON ({error}); expected {expected}") from error


def read_as(path: Path, kind: type[T], expected: str) -> T:
    """Return the JSON in `path` as `kind` (what msgspec converts to); UserError says what differs."""
    return converted(path, read_json(path, expected), kind, expected)


def converted(path: Path, raw: Any, kind: type[T], expected: str) -> T:
    """Return JSON that was read from `path` as `kind`; UserError says what differs."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not as it was written ({error}); expected {expected}") from error


def sha256_of_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of the file at `path` in hexadecimal."""
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror or error}; expected an existing file"
        ) from error
