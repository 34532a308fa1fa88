"""Rounds of another protocol, version or weights: each cell's, under the hash that decides them.

bench/cells/ID.json is a cell as it was last asked for, bench/cells/ID/HASH.json as others asked for it. The
raw samples of all lie in bench/cells/ID, no two under one number: none moves when another is asked for.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.run import results
from bench.run.results import CellResult, Damaged
from pose.files import make_folder, write_json


@dataclass(frozen=True)
class StoredCell:
    """What a run holds of one cell."""

    current: CellResult | None = None
    """As it was last asked for; None where nothing whole is stored."""
    others: tuple[CellResult, ...] = ()
    """As other protocols, versions or weights measured it."""

    def under(self, key: str) -> CellResult | None:
        """Return what is stored under a hash."""
        return next((one for one in (self.current, *self.others) if one and one.hash == key), None)

    @property
    def last_number(self) -> int:
        """Return the highest number of a round that is stored; 0 without any."""
        whole = [one for one in (self.current, *self.others) if one]
        return max((made.number for one in whole for made in one.rounds), default=0)


def stored(run: Path, damaged: Collection[str] = ()) -> dict[str, StoredCell]:
    """Return what a run holds of its cells by ID, read once; what an older version put aside is taken in.

    damaged: IDs of cells that are as absent where their files are damaged; Damaged for any other.
    """
    _adopt(run)
    found = {one.id: StoredCell(one) for one in results.cells(run, damaged)}
    for cell_id in {folder.name for folder in results.folder(run).glob("*/")}:
        known = found.get(cell_id, StoredCell())
        if others := _others(run, cell_id, known.current):
            found[cell_id] = StoredCell(known.current, others)
    return found


def switch(run: Path, cell_id: str, aside: CellResult | None, back: CellResult | None) -> None:
    """Put `back` in a cell's place, or nothing, after `aside` was kept under its hash.

    A process that is killed in between has lost nothing: what is there twice is the same.
    """
    if aside:
        _keep(run, aside)
    if back:
        results.save(run, back)
        _kept(run, back).unlink(missing_ok=True)
    else:
        results.path_of(run, cell_id).unlink(missing_ok=True)


def _adopt(run: Path) -> None:
    """Take in what an older version put aside, as bench/aside/HASH/ID with the cell's JSON among its samples.

    Its JSON goes when all is taken in: a process that is killed before begins anew.
    """
    for json in sorted((Path(run) / "bench" / "aside").glob("*/*/cell.json")):
        try:
            before = results.read(json)
        except Damaged:
            continue
        current = results.path_of(run, before.id)
        known = _readable([current] if current.exists() else [])
        if any(one.hash == before.hash for one in known):  # it was killed while it moved this cell
            current.unlink()
            known = ()
        here = StoredCell(next(iter(known), None), _others(run, before.id))
        if here.under(before.hash) is None:
            rounds = []
            for number, made in enumerate(before.rounds, here.last_number + 1):
                raw = json.with_name(results.samples_path(run, before.id, made.number).name)
                if raw.exists():
                    make_folder(results.folder(run) / before.id)
                    shutil.copyfile(raw, results.samples_path(run, before.id, number))
                rounds.append(msgspec.structs.replace(made, number=number))
            _keep(run, msgspec.structs.replace(before, rounds=rounds))
        json.unlink()
        shutil.rmtree(json.parent, ignore_errors=True)


def _others(run: Path, cell_id: str, current: CellResult | None = None) -> tuple[CellResult, ...]:
    """Return a cell as others than `current` measured it; what is damaged, or a copy, is nobody's."""
    found = _readable(sorted((results.folder(run) / cell_id).glob("*.json")))
    return tuple(one for one in found if one.id == cell_id and (current is None or one.hash != current.hash))


def _readable(paths: Iterable[Path]) -> tuple[CellResult, ...]:
    found = []
    for path in paths:
        with suppress(Damaged):
            one = results.read(path)
            if path.stem in {one.id, one.hash[:16]}:
                found.append(one)
    return tuple(found)


def _keep(run: Path, one: CellResult) -> None:
    write_json(_kept(run, one), msgspec.to_builtins(one))


def _kept(run: Path, one: CellResult) -> Path:
    return results.folder(run) / one.id / f"{one.hash[:16]}.json"
