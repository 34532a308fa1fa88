"""The A/A pair of a bench: which cell is measured against itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.cells.cell import Cell
from bench.cells.scenarios import TIMED
from bench.run.results import CellResult


def noise_pair(cells: Sequence[Cell]) -> tuple[Cell, Cell] | None:
    """Return the A/A pair of a bench: its first timed cell, and the same again; None without a timed one."""
    first = next((cell for cell in cells if cell.scenario in TIMED and not cell.replica), None)
    return (first, replace(first, replica=1)) if first else None


def with_replicas(cells: Iterable[Cell]) -> set[str]:
    """Return the IDs of cells and of their second arms: any of them may once have been an A/A pair's."""
    return {one.id for cell in cells for one in (cell, replace(cell, replica=1))}


def stand_in(results: Sequence[CellResult], pair: tuple[Cell, Cell]) -> Cell | None:
    """Return the cell to measure twice where the first of the A/A pair could not be measured.

    None where it was, or where no timed cell was.
    """
    measured = [one.axes for one in results if one.status == "ok" and one.axes.scenario in TIMED]
    return None if pair[0] in measured else next((cell for cell in measured if not cell.replica), None)
