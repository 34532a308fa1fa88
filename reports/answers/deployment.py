"""What could be shipped: each runtime and precision with its latency, and what its AP loses."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cells.cell import Lane
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import LATENCY
from bench.run.results import CellResult
from bench.statistics import unpaired
from bench.verdicts.ap_differences import ApDifference
from bench.verdicts.comparisons import OPPOSITE
from reports.answers.ranking import Ratio, rankings
from reports.run.read import Run
from reports.words import cells, certification
from reports.words.cells import value

ACCEPTED = ("equal", "higher")
"""Verdicts on an AP against its source that cost nothing."""


@dataclass(frozen=True)
class Option:
    """A cell of batch 1 latency whose figure may stand, with the AP of what it runs."""

    cell: CellResult
    ap: ApDifference | None
    """Against the twin's own framework in strict fp32; None where nothing says it."""
    is_source: bool
    """Whether it is what the others' AP is held against."""

    @property
    def ms(self) -> float:
        """Return its latency."""
        return value(self.cell) or 0.0

    @property
    def kind(self) -> tuple[str, str, str]:
        """Return runtime, mode and precision: whose weights it runs aside."""
        return self.cell.axes.runtime, self.cell.axes.mode, self.cell.axes.precision

    @property
    def keeps_ap(self) -> bool:
        """Return whether its AP is shown to be its source's, within the margin."""
        return self.is_source or (self.ap is not None and self.ap.verdict in ACCEPTED)

    @property
    def worst(self) -> float:
        """Return the most AP that it may lose, by its interval."""
        return 0.0 if self.ap is None or self.ap.interval is None else max(0.0, -self.ap.interval[0])


def options(run: Run) -> list[Option]:
    """Return what was timed at batch 1 with a certificate, the fastest first.

    Of each device, those of the threads and the allocator of the lane that most cells share.
    """
    shared = {_place(one.lane) for one in rankings(run, LATENCY.name, batch=1)}
    found = []
    for cell in run.cells:
        axes = cell.axes
        asked = (axes.scenario, axes.batch, axes.replica) == (LATENCY.name, 1, 0)
        if not asked or _place(axes.lane) not in shared:
            continue
        if cells.comparable(cell) and value(cell) and not certification.doubt(run, cell):
            source = (axes.twin, RUNTIMES[axes.twin].as_shipped, "fp32")
            is_source = (axes.runtime, axes.mode, axes.precision) == source
            found.append(Option(cell, None if is_source else ap_of(run, cell), is_source))
    return sorted(found, key=lambda one: (one.ms, one.cell.id))


def _place(lane: Lane) -> tuple[str, int, str]:
    return lane.device, lane.threads, lane.allocator


def ap_of(run: Run, cell: CellResult) -> ApDifference | None:
    """Return how the AP of what a cell runs differs from its source's; None where nothing says it."""
    scored = cells.accuracy_of(cell, run.cells)
    asked = (one for one in run.accuracies if scored and one.question == "deployment" and one.a == scored.id)
    return next((one for one in asked if one.interval is not None), None)


def faster(run: Run, a: CellResult, b: CellResult) -> tuple[Ratio, bool] | None:
    """Return how many times cell a is faster than b, both latencies, and whether that is decided.

    By the paired rounds of their lane or, across lanes, by Welch's interval over the rounds of each;
    None where neither can be had.
    """
    for ranking in rankings(run, LATENCY.name, batch=1):
        by = ranking.speedup(a, b)
        if by is not None:
            return by, ranking.verdict(a, b) in OPPOSITE
    arms = [[one.value for one in cell.counting if one.value] for cell in (a, b)]
    if min(map(len, arms)) < 2:
        return None
    found = unpaired.differences([(arms[0], arms[1])], (a.first_look, b.first_look))[0]
    if found.interval is None:
        return None
    return (found.ratio, *found.interval), found.verdict in {"more", "less"}
