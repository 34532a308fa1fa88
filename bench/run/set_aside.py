"""Rounds that another protocol or version measured: put aside whole, and back when they are asked for again.

Under bench/aside/HASH/ID lies what bench/cells/ID held, the cell's JSON with its samples. Each step is one
rename; what a killed process left between two of them, `settle` ends before a cell is looked at.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.run import results
from pose.errors import UserError
from pose.files import make_folder, replacing

CELL = "cell.json"


def put(run: Path, cell_id: str, key: str) -> None:
    """Move a cell and its samples aside, under the hash that they were measured by."""
    json, samples, there = _places(run, cell_id, key)
    make_folder(samples)
    make_folder(there.parent)
    with replacing(samples / CELL) as temporary:
        shutil.copyfile(json, temporary)
    shutil.rmtree(there, ignore_errors=True)
    os.replace(samples, there)
    json.unlink()


def take(run: Path, cell_id: str, key: str) -> bool:
    """Put back what lies aside of a cell under a hash, and return whether there was any.

    Nothing of the cell may be in its place but samples that no JSON tells of.
    """
    json, samples, there = _places(run, cell_id, key)
    if not there.exists():
        return False
    shutil.rmtree(samples, ignore_errors=True)
    os.replace(there, samples)
    os.replace(samples / CELL, json)
    return True


def settle(run: Path, cell_id: str) -> None:
    """End what a killed process had begun: afterwards a cell is either in its place or aside."""
    json, samples, _ = _places(run, cell_id, "")
    copied, in_place = samples / CELL, json.exists()
    if copied.exists() and in_place:
        copied.unlink()
    elif copied.exists():
        there = _there(run, cell_id, copied)
        make_folder(there.parent)
        os.replace(samples, there)
    elif in_place and not samples.exists() and _there(run, cell_id, json).exists():
        json.unlink()


def forget(run: Path, cell_id: str) -> None:
    """Remove everything that lies aside of a cell."""
    for there in _all(run, cell_id):
        shutil.rmtree(there, ignore_errors=True)


def ids(run: Path) -> set[str]:
    """Return the IDs of the cells that have rounds aside."""
    return {there.name for there in _all(run, "*")}


def _there(run: Path, cell_id: str, json: Path) -> Path:
    """Return where the cell of a JSON file lies when it is aside; a damaged one has a place of its own."""
    try:
        return _places(run, cell_id, results.read(json).hash)[2]
    except UserError:
        return _places(run, cell_id, "damaged")[2]


def _all(run: Path, name: str) -> list[Path]:
    return sorted((Path(run) / "bench" / "aside").glob(f"*/{name}"))


def _places(run: Path, cell_id: str, key: str) -> tuple[Path, Path, Path]:
    cells = results.folder(run)
    return cells / f"{cell_id}.json", cells / cell_id, Path(run) / "bench" / "aside" / key[:16] / cell_id
