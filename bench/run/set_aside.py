"""Rounds that another protocol or version measured: each cell's, under the hash that decides them.

bench/cells/ID.json is a cell as it was last asked for, bench/cells/ID/HASH.json as others asked for it. The
raw samples of all lie in bench/cells/ID, no two under one number: none moves when another is asked for.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.run import results
from bench.run.results import CellResult
from pose.files import make_folder, write_json


@dataclass(frozen=True)
class StoredCell:
    """What a run holds of one cell."""

    current: CellResult | None = None
    """As it was last asked for; None where nothing whole is stored."""
    others: tuple[CellResult, ...] = ()
    """As other protocols or versions measured it."""

    def under(self, key: str) -> CellResult | None:
        """Return what is stored under a hash."""
        return next((one for one in (self.current, *self.others) if one and one.hash == key), None)

    @property
    def last_number(self) -> int:
        """Return the highest number of a round that is stored; 0 without any."""
        whole = [one for one in (self.current, *self.others) if one]
        return max((made.number for one in whole for made in one.rounds), default=0)


def stored(run: Path, damaged: Collection[str] = ()) -> dict[str, StoredCell]:
    """Return what a run holds of its cells by ID, read once.

    damaged: IDs of cells that are measured again where their files cannot be read; UserError for others.
    """
    found = {}
    for one in results.cells(run, damaged):
        found[one.id] = StoredCell(one, _others(run, one.id, one.hash))
    for folder in results.folder(run).glob("*/"):
        if folder.name not in found and (others := _others(run, folder.name)):
            found[folder.name] = StoredCell(None, others)
    return found


def switch(run: Path, cell_id: str, aside: CellResult | None, back: CellResult | None) -> None:
    """Put `back` in a cell's place, or nothing, after `aside` was kept under its hash.

    A process that is killed in between has lost nothing: what is there twice is the same.
    """
    if aside:
        write_json(_kept(run, aside), msgspec.to_builtins(aside))
    if back:
        results.save(run, back)
        _kept(run, back).unlink(missing_ok=True)
    else:
        results.path_of(run, cell_id).unlink(missing_ok=True)


def adopt(run: Path) -> None:
    """Take in what an older version put aside, under bench/aside/HASH/ID, as this one keeps it."""
    for there in sorted((Path(run) / "bench" / "aside").glob("*/*")):
        before = results.read(there / "cell.json")
        current = results.path_of(run, before.id)
        known = [results.read(current)] if current.exists() else []
        last = StoredCell(known[0] if known else None, _others(run, before.id)).last_number
        make_folder(results.folder(run) / before.id)
        rounds = []
        for number, made in enumerate(before.rounds, last + 1):
            raw = there / results.samples_path(run, before.id, made.number).name
            if raw.exists():
                shutil.copyfile(raw, results.samples_path(run, before.id, number))
            rounds.append(msgspec.structs.replace(made, number=number))
        moved = msgspec.structs.replace(before, rounds=rounds)
        write_json(_kept(run, moved), msgspec.to_builtins(moved))
        if any(one.hash == before.hash for one in known):  # it was killed while it moved this cell
            current.unlink()
        shutil.rmtree(there)
        if not any(there.parent.iterdir()):
            there.parent.rmdir()


def _others(run: Path, cell_id: str, current: str = "") -> tuple[CellResult, ...]:
    paths = sorted((results.folder(run) / cell_id).glob("*.json"))
    found = [results.read(path) for path in paths if not path.name.startswith(".")]
    return tuple(one for one in found if one.hash != current)


def _kept(run: Path, one: CellResult) -> Path:
    return results.folder(run) / one.id / f"{one.hash[:16]}.json"
