"""Interleaving: cells by lane, and the order in which those of a lane have their rounds."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.cells.cell import Cell, Lane
from bench.run.journal import Pass


@dataclass(frozen=True)
class Session:
    """One bench process: its passes are numbered, their orders drawn from its seed."""

    id: str
    seed: int

    @staticmethod
    def begin() -> Session:
        """Return a session with an id of its own and a fresh seed."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return Session(f"{now}-{os.getpid()}", random.SystemRandom().randrange(2**32))

    def draw(self, lane: Lane, number: int, due: Sequence[Cell]) -> Pass:
        """Return the `number`-th pass over a lane: its due cells in a random order that the seed repeats."""
        order = sorted(due, key=lambda cell: cell.id)
        random.Random(f"{self.seed} {lane.id} {number}").shuffle(order)
        return Pass(
            id=f"{self.id}/{lane.id}/{number}",
            lane=lane.id,
            order=tuple(cell.id for cell in order),
            seed=self.seed,
            session=self.id,
        )


def lanes(cells: Sequence[Cell]) -> dict[Lane, list[Cell]]:
    """Return the cells by lane, lanes and cells in the order of the matrix."""
    found: dict[Lane, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.lane, []).append(cell)
    return found
