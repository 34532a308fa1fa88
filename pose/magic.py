"""What a file is by its first bytes, where its name promised something else."""

from __future__ import annotations

from pathlib import Path

POINTER = "a Git LFS pointer; 'git lfs pull' fetches the file itself"
ZIP = "a ZIP archive, as torch.save writes"
PICKLE = "a pickle, as older versions of torch wrote"
HDF5 = "HDF5, as Keras writes"
SAFETENSORS = "safetensors"
PAGE = "HTML or XML, perhaps the page of a failed download"

_STARTS = {
    b"version https://git-lfs": POINTER,
    b"PK\x03\x04": ZIP,
    b"\x80\x02": PICKLE,
    b"\x89HDF": HDF5,
    b"<": PAGE,
}


def kind_of(path: Path) -> str | None:
    """Return in words what the file at `path` is; None for what is not known here, or cannot be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError:
        return None
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**40:
        return SAFETENSORS
    return next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), None)


def also(path: Path) -> str:
    """Return " (it is ...)" for the message that refuses the file at `path`; empty for an unknown kind."""
    kind = kind_of(path)
    return f" (it is {kind})" if kind else ""
