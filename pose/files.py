"""Files that are either whole or absent: written to a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pose.errors import UserError

_MARK = ".twinpose."
"""Begins every temporary name: what a killed process leaves can be told from anybody's own dotfiles."""


def leftovers(folder: Path, *, but: Container[str] = ()) -> Iterator[Path]:
    """Yield the temporary files below `folder` that a killed process left.

    Hidden folders, links to folders and those called `but` at the top are not entered: nothing of ours is
    written there under such a name.
    """
    for place, folders, names in os.walk(folder):
        top = Path(place) == Path(folder)
        folders[:] = [name for name in folders if not (name.startswith(".") or (top and name in but))]
        yield from (Path(place) / name for name in names if name.startswith(_MARK))


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
        handle, name = tempfile.mkstemp(prefix=f"{_MARK}{path.stem}.", suffix=path.suffix, dir=path.parent)
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


def require_target(path: Path, *reads: Path | None, option: str = "--out") -> None:
    """Raise UserError unless a file can be written at `path` that is none of those that are read.

    reads: files, or folders all of whose content is read. Asked before the work: an hour of it would be lost,
    or what it was made of.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise UserError(f"{option} {path} is a folder; expected the path of a file to write")
    for source in reads:
        if source is not None and target.is_relative_to(Path(source).resolve()) and target.exists():
            raise UserError(f"{option} {path} is a file that this command reads; expected another path")
    place = next(folder for folder in target.parents if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: {place} is no writable folder; expected another {option}")


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


def read_bytes(path: Path, expected: str) -> bytes:
    """Return the bytes of `path`; `expected` names the kind of file for the UserError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; expected {expected}") from error


def read_json(path: Path, expected: str) -> Any:
    """Return the JSON value in `path`; `expected` names the kind of file for the UserError."""
    try:
        return msgspec.json.decode(read_bytes(path, expected))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not JSON ({error}); expected {expected}") from error


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
