"""Measured cells on disk: bench/cells/ID.json, raw samples beside them in ID.npz."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bench.contract import Cell
from pose.errors import UserError
from pose.files import read_json, replacing, sha256_of_bytes, sha256_of_file, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1


class Round(msgspec.Struct, frozen=True):
    """One fresh process that measured the cell once."""

    phases_s: dict[str, float | None]
    """import, load, compile, first, warmup, measured; null where one is absent or cannot be told apart."""
    count: int
    """Queries (latency), batches (throughput) or instances (accuracy) in the measured phase."""
    wall_s: float
    started: str
    """ISO 8601, UTC."""


class Validity(msgspec.Struct, frozen=True):
    """Whether the figures may be compared, and why not."""

    verdict: str = "VALID"
    reasons: list[str] = []


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one cell of a run."""

    schema: int = SCHEMA
    id: str
    status: str
    """One of bench.contract.STATUSES."""
    reason: str | None
    axes: Cell
    effective: dict[str, Any] = {}
    """What the runtime said it does, read back."""
    hash: str
    """Over everything that decides the result; a cell is skipped while it is the same."""
    artifact_sha256: str | None
    split_sha256: str
    rounds: list[Round] = []
    stats: dict[str, Any] = {}
    validity: Validity = Validity()
    certificate_id: str | None = None
    command: str
    """The command that measures this cell again."""


def folder(run: Path) -> Path:
    """Return the folder of a run's cells."""
    return Path(run) / "bench" / "cells"


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


def save(run: Path, result: CellResult, samples: dict[str, np.ndarray] | None = None) -> Path:
    """Write a cell and its raw samples, each whole or not at all; return the JSON's path."""
    path = folder(run) / f"{result.id}.json"
    beside = path.with_suffix(".npz")
    # The samples go first: a JSON on disk always finds its own beside it.
    if samples:
        with replacing(beside) as temporary:
            np.savez(temporary, **samples)  # type: ignore[arg-type]
    else:
        beside.unlink(missing_ok=True)
    write_json(path, msgspec.to_builtins(result))
    return path


def read(path: Path) -> CellResult:
    """Return the cell in a JSON file; UserError when it is malformed or newer than this version."""
    raw = read_json(path, "a cell that 'twinpose bench' wrote")
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise UserError(
            f"{path} has schema {schema}, this twinpose reads up to {SCHEMA}; expected an older run, "
            "or upgrade twinpose"
        )
    try:
        return msgspec.convert(raw, CellResult)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} is no cell of a bench ({error}); measure it again with 'twinpose bench'"
        ) from error


def cells(run: Path) -> list[CellResult]:
    """Return all cells of a run by ID; [] before its first bench."""
    # A hidden file is what a killed process was still writing.
    paths = [path for path in folder(run).glob("*.json") if not path.name.startswith(".")]
    return [read(path) for path in sorted(paths)]


def samples(run: Path, cell_id: str) -> dict[str, np.ndarray]:
    """Return a cell's raw samples by name (latency_ns (n,) or block_ns (m,), int64); {} without any."""
    return load_samples(folder(run) / f"{cell_id}.npz")


def load_samples(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name; {} when it is absent."""
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        return dict(arrays)


def table(run: Path) -> pd.DataFrame:
    """Return a row for each cell: id, status, reason, axes, verdict and figures, absent ones as NaN."""
    import pandas as pd  # half a second that only those who want a table should wait

    return pd.DataFrame([_row(result) for result in cells(run)])


def _row(result: CellResult) -> dict[str, Any]:
    row: dict[str, Any] = {"id": result.id, "status": result.status, "reason": result.reason}
    row |= asdict(result.axes) | {
        "verdict": result.validity.verdict,
        "verdict_reasons": result.validity.reasons,
    }
    for name, value in result.stats.items():
        if isinstance(value, dict):
            row |= {f"{name}_{key}": number for key, number in value.items()}
        else:
            row[name] = value
    return row
