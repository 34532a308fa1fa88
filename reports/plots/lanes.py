"""Which lanes a figure draws where a run has more than a reader can take in: the table has all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.cells.cell import Cell
from reports.run.read import Run

MOST_ROWS = 40
"""About two screens."""


def drawn(run: Run, lanes: Mapping[str, Sequence[Cell]], most: int = MOST_ROWS) -> tuple[list[str], str]:
    """Return the names of the lanes to draw, in their order, and a sentence on those that are not.

    lanes: by name, the cells of its rows. Whole lanes are taken while their rows fit `most`, one at least:
    those of the run's own thread count and of glibc's allocator first.
    """
    usual = run.facts.get("threads")
    names = list(lanes)

    def apart(name: str) -> tuple[bool, bool, int]:
        axes = next(iter(lanes[name]), None)
        if axes is None:
            return True, True, names.index(name)
        return axes.threads != usual, axes.allocator != "glibc", names.index(name)

    kept: set[str] = set()
    rows = 0
    for name in sorted(names, key=apart):
        if kept and rows + len(lanes[name]) > most:
            break
        kept.add(name)
        rows += len(lanes[name])
    gone = (
        "" if len(kept) == len(names) else f"{len(kept)} of {len(names)} lanes are drawn, the table has all. "
    )
    return [name for name in names if name in kept], gone
