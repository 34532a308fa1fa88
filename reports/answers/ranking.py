"""The arms of a lane in their order, with the verdicts between them: what the answers about speed read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.cells.cell import Lane
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS
from bench.run.results import CellResult
from bench.statistics.paired import inverse
from bench.verdicts.comparisons import COMPARISON_SETS, OPPOSITE
from reports.formats import milliseconds, per_second, runtime
from reports.run.read import Run
from reports.words import cells, certification, comparisons
from reports.words.cells import value
from reports.words.comparisons import NOT_RANKED, RankedPair

Ratio = tuple[float, float, float]
"""How many times faster, and the ends of the 95 % interval."""


@dataclass(frozen=True)
class Ranking:
    """A lane's cells of one comparison set, the fastest first; only those whose figures may stand."""

    lane: Lane
    arms: tuple[CellResult, ...]
    left_out: tuple[CellResult, ...]
    """Cells of the lane without a figure that may be ranked."""
    pairs: dict[tuple[str, str], RankedPair]

    @property
    def baseline(self) -> CellResult:
        """Return the arm that the others are held against: B of an only pair, or the most common one."""
        ranked = [pair for pair in self.pairs.values() if pair.verdict != NOT_RANKED]
        last = ranked[0].found.b if len(ranked) == 1 else None
        return min(self.arms, key=lambda cell: (cell.id != last, *_commonness(cell)))

    def verdict(self, a: CellResult, b: CellResult) -> str:
        """Return whether a is faster or slower than b, equivalent, inconclusive, or not ranked."""
        if (pair := self.pairs.get((a.id, b.id))) is not None:
            return pair.verdict
        if (pair := self.pairs.get((b.id, a.id))) is not None:
            return OPPOSITE.get(pair.verdict, pair.verdict)
        return NOT_RANKED

    def speedup(self, a: CellResult, b: CellResult) -> Ratio | None:
        """Return how many times a is faster than b, with its interval; None where they were not ranked."""
        if (pair := self.pairs.get((a.id, b.id))) is not None:
            return pair.speedup if pair.verdict != NOT_RANKED else None
        pair = self.pairs.get((b.id, a.id))
        if pair is None or pair.speedup is None or pair.verdict == NOT_RANKED:
            return None
        value, *ends = pair.speedup
        return 1 / value, *inverse((ends[0], ends[1]))

    def doubtful(self, a: CellResult, b: CellResult) -> bool:
        """Return whether something is doubtful about the comparison of two arms."""
        pair = self.pairs.get((a.id, b.id)) or self.pairs.get((b.id, a.id))
        return bool(pair and pair.found.reason)

    @property
    def leaders(self) -> list[CellResult]:
        """Return the fastest arm of each runtime and mode, the fastest first."""
        return list({(c.axes.runtime, c.axes.mode): c for c in reversed(self.arms)}.values())[::-1]

    @property
    def rivals(self) -> list[CellResult]:
        """Return the leaders that the first was not shown to beat."""
        first, *others = self.leaders
        return [one for one in others if self.verdict(first, one) != "faster"]

    def named(self, cell: CellResult) -> str:
        """Return an arm's name: that of its runtime alone, where no other twin's weights run slower there."""
        axes = cell.axes
        alike = [c for c in self.arms if (c.axes.runtime, c.axes.mode) == (axes.runtime, axes.mode)]
        told = any(self.verdict(cell, one) in OPPOSITE for one in alike if one is not cell)
        return cells.name(axes) if told or axes.runtime == axes.twin else runtime(axes.runtime)


def _commonness(cell: CellResult) -> tuple[int, int]:
    return RUNTIMES[cell.axes.runtime].baseline, RUNTIMES[cell.axes.twin].baseline


def rankings(run: Run, scenario: str, *, batch: int | None = None, kind: str = "as_shipped") -> list[Ranking]:
    """Return a ranking for each device: of the strict fp32 lane in which most cells were measured.

    batch: None for any. kind: a comparison set, as_shipped or compiled.
    """
    members = COMPARISON_SETS[kind]
    lanes: dict[Lane, list[CellResult]] = defaultdict(list)
    for cell in run.cells:
        axes = cell.axes
        asked = (axes.scenario, axes.precision, axes.replica) == (scenario, "fp32", 0)
        if asked and (axes.runtime, axes.mode) in members and batch in {None, axes.batch}:
            lanes[axes.lane].append(cell)
    pairs = comparisons.pairs(run)
    by_device: dict[str, Ranking] = {}
    for lane, found in lanes.items():
        one = _ranking(lane, found, pairs)
        best = by_device.get(lane.device)
        if one.arms and (best is None or len(one.arms) > len(best.arms)):
            by_device[lane.device] = one
    return [by_device[device] for device in sorted(by_device)]


def _ranking(lane: Lane, found: Sequence[CellResult], pairs: Iterable[RankedPair]) -> Ranking:
    ranked = [cell for cell in found if cells.comparable(cell) and value(cell) is not None]
    way = 1 if SCENARIOS[lane.scenario].less_is_faster else -1
    ids = {cell.id for cell in ranked}
    return Ranking(
        lane=lane,
        arms=tuple(sorted(ranked, key=lambda c: (way * (value(c) or 0.0), c.id))),
        left_out=tuple(cell for cell in found if cell not in ranked),
        pairs={(p.found.a, p.found.b): p for p in pairs if {p.found.a, p.found.b} <= ids},
    )


def figure(cell: CellResult) -> str:
    """Return a cell's value as people read it: 2.50 ms, 478.2 images/s."""
    asked = SCENARIOS[cell.axes.scenario]
    show = milliseconds if asked.less_is_faster else per_second
    return f"{show(value(cell) or 0.0)} {asked.unit}"


def uncertified(run: Run, ranking: Ranking) -> bool:
    """Return whether an arm was timed without a certificate that covers it."""
    return any(certification.doubt(run, cell) for cell in ranking.arms)
