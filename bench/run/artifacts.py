"""Where the files of an artifact lie in a run, and their hashes."""

from __future__ import annotations

from pathlib import Path

from bench.cells.cell import Cell
from pose.files import sha256_of_bytes, sha256_of_file

FILES = {"ir": "model.xml", "onnx": "model.onnx", "int8": "model.int8.xml"}


def artifact(run: Path, cell: Cell) -> Path:
    """Return the file of a run that a cell's runner loads."""
    if cell.runtime in {"tf", "torch"}:
        return run / "train" / cell.twin / "best.safetensors"
    if cell.runtime == "onnxruntime":
        return run / "artifacts" / cell.twin / "model.onnx"
    return run / "artifacts" / cell.twin / ("model.int8.xml" if cell.precision == "int8" else "model.xml")


def artifact_sha256(path: Path) -> str | None:
    """Return the hash of an artifact, of the weights beside an IR or an ONNX file too; None when absent."""
    if not path.exists():
        return None
    beside = [path.with_suffix(".bin"), path.with_name(path.name + ".data")]
    hashes = [sha256_of_file(part) for part in [path, *beside] if part.exists()]
    return hashes[0] if len(hashes) == 1 else sha256_of_bytes("".join(hashes).encode())
