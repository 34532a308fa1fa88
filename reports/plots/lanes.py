"""Which lanes a figure draws where a run has more than a reader can take in: the table has all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.cells.cell import Cell
from reports.frames.lanes import chosen
from reports.run.read import Run

MOST_ROWS = 40
"""About two screens."""


def drawn(run: Run, lanes: Mapping[str, Sequence[Cell]], most: int = MOST_ROWS) -> tuple[list[str], str]:
    """Return the names of the lanes to draw, in their order, and a sentence on those that are not.

    lanes: by name, the cells of its rows; most: how many rows fit.
    """
    kept = chosen(run, lanes, most)
    whole = len(kept) == len(lanes)
    return kept, "" if whole else f"{len(kept)} of {len(lanes)} lanes are drawn, the table has all. "
