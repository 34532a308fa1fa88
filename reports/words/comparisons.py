"""Paired comparisons with their cells: ordered, put in words, and never of a cell that is not fit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from bench.cells.cell import TWINS
from bench.run.results import CellResult
from bench.statistics.paired import MARGIN, degrees_of_freedom, inverse
from bench.verdicts.comparisons import COMPARISON_SETS, NOISE_FLOOR, OPPOSITE, Comparison
from reports.formats import ratio
from reports.run.read import Run
from reports.words import cells, certification

NOT_RANKED = "not ranked"
ALONE = (
    "the interval is of this pair alone and leaves out 1; for all comparisons together (p Holm) the two are "
    "not told apart"
)
SETTLED = (*OPPOSITE, "equivalent")
"""Verdicts of which no further rounds are asked."""


@dataclass(frozen=True)
class RankedPair:
    """A comparison with its cells; one whose cells are no longer fit is not ranked, whatever was decided."""

    found: Comparison
    a: CellResult | None
    b: CellResult | None
    spoilt: str | None
    """Why the cells as they are now may not be ranked."""
    unproven: tuple[str, ...] = ()
    """What is doubtful about the cells' certificates."""

    @property
    def verdict(self) -> str:
        """Return faster, slower, equivalent, inconclusive, or not ranked."""
        return NOT_RANKED if self.spoilt or self.speedup is None else self.found.verdict or NOT_RANKED

    @property
    def speedup(self) -> tuple[float, float, float] | None:
        """Return how many times a is faster than b, and the ends of the 95 % interval; None without."""
        value, ends = self.found.speedup, self.found.speedup_interval
        return None if value is None or ends is None or self.found.verdict is None else (value, *ends)

    @property
    def reason(self) -> str:
        """Return why it is not ranked or not decided, and what is doubtful; "" where nothing is."""
        undecided = self.verdict == "inconclusive" and not self.found.reason
        return "; ".join((*self.reasons, *([_undecided(self.found)] if undecided else [])))

    @property
    def is_told_apart_alone(self) -> bool:
        """Return whether its interval leaves out 1, and it is undecided among all pairs (Holm)."""
        asked = self.verdict == "inconclusive" and self.found.p_holm is not None and self.speedup
        return bool(asked and not asked[1] <= 1 <= asked[2])

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why it is not ranked, and what is doubtful of each cell, which many pairs share."""
        said = [self.spoilt, *self._parts(self.found.reason or ""), *self.unproven]
        said += [ALONE] if self.is_told_apart_alone else []
        if self.verdict == NOT_RANKED and not any(said):
            said.append("no reason recorded")
        return tuple(dict.fromkeys(self._named(one) for one in said if one))

    def _parts(self, text: str) -> list[str]:
        """Return what a stored reason says of each cell."""
        cells_ = "|".join(re.escape(cell_id) for cell_id in (self.found.a, self.found.b))
        return re.split(rf"; (?=(?:{cells_}): )", text)

    def _named(self, text: str) -> str:
        """Return the text with the cells' short names: an ID repeats what the lane's heading says."""
        known = {cell.id: cells.name(cell.axes) for cell in (self.a, self.b) if cell}
        for cell_id in sorted(known, key=len, reverse=True):
            text = text.replace(cell_id, known[cell_id])
        return text

    @property
    def names(self) -> tuple[str, str]:
        """Return both cells' short names, or their IDs where the run no longer has them."""
        found = ((self.a, self.found.a), (self.b, self.found.b))
        a, b = (cells.name(cell.axes) if cell else cell_id for cell, cell_id in found)
        return a, b

    @property
    def said(self) -> str:
        """Return the figures in words: 1.52× [1.48, 1.57] faster."""
        if self.verdict == NOT_RANKED or self.speedup is None:
            return NOT_RANKED
        return f"{ratio(self.speedup)} {self.verdict}"


def first_look(run: Run) -> str:
    """Return what a stopping rule costs intervals and p, in a sentence; "" without such a rule."""
    looks = sorted({cell.first_look for cell in run.cells if cell.first_look})
    if not looks:
        return ""
    freedom = " or ".join(str(degrees_of_freedom(look, look)) for look in looks)
    return (
        f"Where passes ended at a decision, interval and p alike take the t distribution of the first look "
        f"({freedom} degrees of freedom), however many pairs follow: that pays for looking."
    )


def _undecided(found: Comparison) -> str:
    difference = "" if found.p_holm is None else f" (p Holm {found.p_holm:.2g})"
    return f"shown is neither a difference{difference} nor equivalence within {MARGIN:.0%}"


def pairs(run: Run) -> list[RankedPair]:
    """Return the comparisons by lane and set, the largest speed-up first, those not ranked last.

    A is held against the more common B, as the bench has it; where a lane ranks the two twins alone, A is
    the faster, as the question which of them trains faster has it.
    """
    by_id = {cell.id: cell for cell in run.cells}
    found = [_pair(run, one, by_id.get(one.a), by_id.get(one.b)) for one in run.comparisons or ()]
    ranked = Counter((one.found.lane, one.found.set) for one in found if one.verdict != NOT_RANKED)
    alone = [one for one in found if ranked[one.found.lane, one.found.set] == 1 and _is_slower_twin(one)]
    return sorted((_turned(one) if one in alone else one for one in found), key=_order)


def _is_slower_twin(pair: RankedPair) -> bool:
    """Return whether A is a twin in its own framework, measured slower than the other in its own."""
    if pair.verdict == NOT_RANKED or pair.speedup is None or pair.speedup[0] >= 1:
        return False
    arms = [cell.axes for cell in (pair.a, pair.b) if cell]
    return sorted((one.twin, one.runtime) for one in arms) == sorted((twin, twin) for twin in TWINS)


def _turned(pair: RankedPair) -> RankedPair:
    """Return the same comparison with A and B in each other's place."""
    found = pair.found
    turned = msgspec.structs.replace(
        found,
        a=found.b,
        b=found.a,
        ratio=found.ratio and 1 / found.ratio,
        interval=found.interval and inverse(found.interval),
        speedup=found.speedup and 1 / found.speedup,
        speedup_interval=found.speedup_interval and inverse(found.speedup_interval),
        verdict=OPPOSITE.get(found.verdict or "", found.verdict),
    )
    return replace(pair, found=turned, a=pair.b, b=pair.a)


def _pair(run: Run, found: Comparison, a: CellResult | None, b: CellResult | None) -> RankedPair:
    spoilt = [reason for cell, cell_id in ((a, found.a), (b, found.b)) if (reason := _spoilt(cell, cell_id))]
    doubted = {cell.id: doubt for cell in (a, b) if cell and (doubt := certification.doubt(run, cell))}
    # What both share is said once, and of no cell by name: all comparisons may share it.
    both = len(doubted) > 1 and len(set(doubted.values())) == 1
    named = (f"{cells.name(cell.axes)}: {doubted[cell.id]}" for cell in (a, b) if cell and cell.id in doubted)
    doubts = set(doubted.values()) if both else set(named)
    # The bench's own reason says it already, and better.
    own = found.verdict is None and found.reason
    return RankedPair(found, a, b, None if own else "; ".join(spoilt) or None, tuple(sorted(doubts)))


def _spoilt(cell: CellResult | None, cell_id: str) -> str | None:
    if cell is None:
        return f"the run has no cell {cell_id} any more"
    if cell.status != "ok":
        return f"{cells.name(cell.axes)}: {cell.status}"
    return f"{cells.name(cell.axes)} is INVALID" if cell.validity.verdict == "INVALID" else None


def group(pair: RankedPair) -> str:
    """Return what a comparison stands under: its lane, and the set it belongs to."""
    cell = pair.a or pair.b
    lane = cells.heading(cell.axes.lane) if cell else pair.found.lane
    return f"{lane}: {pair.found.set.replace('_', ' ')}"


def _order(pair: RankedPair) -> tuple[Any, ...]:
    cell = pair.a or pair.b
    lane = (0, *cells.full_lane_key(cell.axes)) if cell else (1,)
    sets = list(COMPARISON_SETS)
    place = sets.index(pair.found.set) if pair.found.set in sets else len(sets)
    speedup = -pair.speedup[0] if pair.speedup and pair.verdict != NOT_RANKED else 0.0
    last = pair.verdict == NOT_RANKED
    return lane, place, group(pair), last, speedup, pair.found.a, pair.found.b


def counts(found: list[RankedPair]) -> dict[str, int]:
    """Return how many comparisons have each verdict, those not ranked included, the noise floor left out."""
    verdicts = [pair.verdict for pair in found if pair.found.set != NOISE_FLOOR]
    return {verdict: verdicts.count(verdict) for verdict in (*SETTLED, "inconclusive", NOT_RANKED)}
