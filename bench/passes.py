"""Interleaving: which cells are due for a round, in what order, and which sweeps over a lane were whole."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell, Lane
from bench.store import CellResult
from pose.files import make_folder, read_bytes

JOURNAL = "passes.jsonl"


@dataclass(frozen=True)
class Sitting:
    """One bench process: its passes are numbered, their orders drawn from its seed."""

    id: str
    seed: int

    @staticmethod
    def begin() -> Sitting:
        """Return a sitting with an id of its own and a fresh seed."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return Sitting(f"{now}-{os.getpid()}", random.SystemRandom().randrange(2**32))

    def draw(self, lane: Lane, number: int, due: Sequence[Cell]) -> Pass:
        """Return the `number`-th pass over a lane: its due cells in a random order that the seed repeats."""
        order = sorted(due, key=lambda cell: cell.id)
        random.Random(f"{self.seed} {lane.id} {number}").shuffle(order)
        return Pass(f"{self.id}/{lane.id}/{number}", lane, tuple(order), self.id, self.seed)


@dataclass(frozen=True)
class Pass:
    """One interleaved sweep over cells of a lane: a round of each in turn. Its rounds are pairs."""

    id: str
    lane: Lane
    order: tuple[Cell, ...]
    sitting: str
    """The id of the bench that drew it."""
    seed: int
    """Of that bench, from which the order was drawn."""


def lanes(cells: Sequence[Cell]) -> dict[Lane, list[Cell]]:
    """Return the cells by lane, lanes and cells in the order of the matrix."""
    found: dict[Lane, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.lane, []).append(cell)
    return found


def rounds_done(result: CellResult | None, unpaired: Collection[str]) -> int:
    """Return how many of a cell's rounds count: those of an unpaired pass lack their partners."""
    return sum(one.pass_ not in unpaired for one in result.rounds) if result else 0


def begin(run: Path, drawn: Pass) -> None:
    """Note in the journal that a pass begins, and its order."""
    _append(
        run,
        {
            "pass": drawn.id,
            "lane": drawn.lane.id,
            "order": [cell.id for cell in drawn.order],
            "seed": drawn.seed,
            "sitting": drawn.sitting,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def end(run: Path, drawn: Pass) -> None:
    """Note in the journal that a pass has given each of its cells its round."""
    _append(run, {"pass": drawn.id, "ended": datetime.now(UTC).isoformat(timespec="seconds")})


def broken(run: Path) -> set[str]:
    """Return the passes that began and never ended: their bench was killed."""
    lines = _read(run)
    return {line["pass"] for line in lines if "order" in line} - {
        line["pass"] for line in lines if "ended" in line
    }


def alone(run: Path) -> set[str]:
    """Return the passes over a single cell: its rounds are no pairs with any other's."""
    return {line["pass"] for line in _read(run) if len(line.get("order", ())) == 1}


def _append(run: Path, fields: dict[str, Any]) -> None:
    path = run / "bench" / JOURNAL
    make_folder(path.parent)
    with open(path, "a", encoding="utf-8") as journal:
        # A line that a killed process left unfinished must not swallow this one.
        if journal.tell() and path.read_bytes()[-1:] != b"\n":
            journal.write("\n")
        journal.write(json.dumps(fields) + "\n")


def _read(run: Path) -> list[dict[str, Any]]:
    path = run / "bench" / JOURNAL
    if not path.exists():
        return []
    found = []
    for line in read_bytes(path, "a line of JSON a pass").splitlines():
        try:
            fields = json.loads(line)
        except ValueError:  # what a killed process left unfinished
            continue
        if isinstance(fields, dict) and "pass" in fields:
            found.append(fields)
    return found
