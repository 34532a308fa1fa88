"""The durations of a cell's queries, as its rounds left them."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np

from bench.cells.scenarios import LATENCY
from bench.run import results
from bench.run.results import CellResult
from reports.frames.lanes import chosen
from reports.run.read import Run
from reports.words import cells as cells_

QUANTILES = (5, 25, 50, 75, 95)
"""Per cent, of the queries of a cell."""
MOST_CELLS = 24
"""Whose durations are read: each round of a cell is a file."""


@lru_cache(maxsize=1)
def lanes_with_queries(run: Run) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """Return by lane and cell ID the milliseconds (n,) of all rounds' queries, and which lanes are left out.

    Only cells whose figures may stand beside others', of the lanes that `lanes.chosen` takes. Read once for
    table and figure.
    """
    lanes: dict[str, list[CellResult]] = defaultdict(list)
    for cell in sorted(run.cells, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes))):
        axes = cell.axes
        if axes.scenario == LATENCY.name and cells_.comparable(cell) and not axes.replica:
            lanes[cells_.heading(axes.lane)].append(cell)
    kept = chosen(run, {name: [cell.axes for cell in members] for name, members in lanes.items()}, MOST_CELLS)
    found = {
        name: {cell.id: ms for cell in lanes[name] if len(ms := _queries_ms(run, cell))} for name in kept
    }
    whole = len(kept) == len(lanes)
    left_out = (
        "" if whole else f" {len(kept)} of {len(lanes)} lanes are shown; the run has the samples of all."
    )
    return {name: read for name, read in found.items() if read}, left_out


def _queries_ms(run: Run, cell: CellResult) -> np.ndarray:
    """Return the milliseconds (n,) of a cell's queries; (0,) where its samples are not in the run."""
    raw = results.samples(run.path, cell).get("latency_ns")
    return np.zeros(0) if raw is None else raw / 1e6
