"""Where the files of an artifact lie in a run, and their hashes."""

from __future__ import annotations

from pathlib import Path

from bench.cells.artifacts import ARTIFACTS, ArtifactFile
from bench.cells.cell import Cell
from bench.cells.runtimes import artifact_of
from pose.files import sha256_of_bytes, sha256_of_file


def artifact(run: Path, cell: Cell) -> Path:
    """Return the file of a run that a cell's runner loads."""
    wanted = artifact_of(cell)
    return (folder(run, cell.twin) if wanted.artifact.is_export else run / "train" / cell.twin) / wanted.name


def folder(run: Path, twin: str) -> Path:
    """Return where what a twin was converted to lies."""
    return run / "artifacts" / twin


def exported(run: Path, twin: str) -> dict[ArtifactFile, Path]:
    """Return what is there of all that a twin can be converted to."""
    found = {}
    for one in ARTIFACTS.values():
        before, of_a_batch, after = one.file.partition("{batch}")
        for path in sorted(folder(run, twin).glob(f"{before}*{after}" if of_a_batch else one.file)):
            batch = path.name.removeprefix(before).removesuffix(after)
            if one.is_export and batch.isdecimal() == bool(of_a_batch):
                found[ArtifactFile(one.kind, int(batch) if of_a_batch else None)] = path
    return found


def artifact_sha256(path: Path) -> str | None:
    """Return the hash of an artifact, of the weights beside an IR or an ONNX file too; None when absent."""
    if not path.exists():
        return None
    hashes = [sha256_of_file(part) for part in parts(path) if part.exists()]
    return hashes[0] if len(hashes) == 1 else sha256_of_bytes("".join(hashes).encode())


def parts(path: Path) -> list[Path]:
    """Return the files that an artifact may consist of: its own, and the weights beside an IR or an ONNX."""
    # model.bin is the IR's: model.onnx of the same folder has no part in it.
    beside = {".xml": path.with_suffix(".bin"), ".onnx": path.with_name(f"{path.name}.data")}
    return [path, *(beside[suffix] for suffix in (path.suffix,) if suffix in beside)]
