"""Where the files of an artifact lie in a run, and their hashes."""

from __future__ import annotations

from pathlib import Path

from bench.cells.cell import Cell
from bench.cells.runtimes import artifact_of
from pose.files import sha256_of_bytes, sha256_of_file


def artifact(run: Path, cell: Cell) -> Path:
    """Return the file of a run that a cell's runner loads."""
    wanted = artifact_of(cell)
    return run / ("artifacts" if wanted.is_export else "train") / cell.twin / wanted.file


def artifact_sha256(path: Path) -> str | None:
    """Return the hash of an artifact, of the weights beside an IR or an ONNX file too; None when absent."""
    if not path.exists():
        return None
    beside = [path.with_suffix(".bin"), path.with_name(path.name + ".data")]
    hashes = [sha256_of_file(part) for part in [path, *beside] if part.exists()]
    return hashes[0] if len(hashes) == 1 else sha256_of_bytes("".join(hashes).encode())
