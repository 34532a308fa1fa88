"""The durations of a cell's queries, as its rounds left them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from bench.cells.scenarios import LATENCY
from bench.run import results
from bench.run.results import CellResult
from reports.run.read import Run
from reports.words import cells as cells_

QUANTILES = (5, 25, 50, 75, 95)
"""Per cent, of the queries of a cell."""
MOST_CELLS = 24
"""Whose durations are read: each round of a cell is a file."""


def lanes_with_queries(run: Run) -> dict[str, dict[str, np.ndarray]]:
    """Return by lane and cell ID the milliseconds (n,) of all rounds' queries: the run's own threads first.

    Only cells whose figures may stand beside others', whole lanes while they are few enough, one at least.
    """
    lanes: dict[str, list[CellResult]] = defaultdict(list)
    for cell in sorted(run.cells, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes))):
        axes = cell.axes
        if axes.scenario == LATENCY.name and cells_.comparable(cell) and not axes.replica:
            lanes[cells_.heading(axes.lane)].append(cell)
    usual, taken = run.facts.get("threads"), 0
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, members in sorted(lanes.items(), key=lambda lane: lane[1][0].axes.threads != usual):
        if found and taken + len(members) > MOST_CELLS:
            break
        read = {cell.id: queries for cell in members if len(queries := _queries_ms(run, cell))}
        if read:
            found[name] = read
            taken += len(read)
    return found


def _queries_ms(run: Run, cell: CellResult) -> np.ndarray:
    """Return the milliseconds (n,) of a cell's queries; (0,) where its samples are not in the run."""
    raw = results.samples(run.path, cell).get("latency_ns")
    return np.zeros(0) if raw is None else raw / 1e6
