"""Which lanes are shown where a run has more than a reader can take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.cells.cell import Cell
from reports.run.read import Run


def chosen(run: Run, lanes: Mapping[str, Sequence[Cell]], most: int) -> list[str]:
    """Return the names of the lanes to show, in their order.

    lanes: by name, the cells of its rows. Whole lanes are taken while their rows fit `most`, one at least:
    those of the run's own thread count and of glibc's allocator first.
    """
    usual = run.facts.get("threads")

    def apart(name: str) -> tuple[bool, bool]:
        axes = next(iter(lanes[name]), None)
        return (True, True) if axes is None else (axes.threads != usual, axes.allocator != "glibc")

    kept: set[str] = set()
    rows = 0
    for name in sorted(lanes, key=apart):
        if kept and rows + len(lanes[name]) > most:
            break
        kept.add(name)
        rows += len(lanes[name])
    return [name for name in lanes if name in kept]
