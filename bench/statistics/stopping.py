"""When a pair that is looked at after every pass has enough of them, and how many more would do.

Looking costs: every interval and p is that of the first look's degrees of freedom, and what ends the
measurement early must be three times as sure as what is reported (docs/method/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.statistics import paired
from bench.statistics.paired import ALPHA, MARGIN

LOOKING = 3
"""By how much a decision that ends the measurement is surer than one that is reported."""

POWER = 0.84
"""Standard errors beyond the edge of a decision, with which it is reached in 80 % of benches."""

Figures = Sequence[float]
"""Of one arm of a pair, (n,): those of the rounds that both arms share."""


@dataclass(frozen=True)
class StoppingRule:
    """A pair ends once it is settled, from the first look on, and at the last in any case."""

    first_look: int
    """Passes."""
    last_look: int
    half_width: float | None = None
    """Relative: an interval at most so wide to each side settles its pair; None: width settles nothing."""
    family: float | None = None
    """Pairs of the whole matrix: one that is decided among so many is settled; None: that settles nothing."""

    def is_over(self, a: Figures, b: Figures, rounds: int) -> bool:
        """Return whether two arms need no further pass after so many that they share."""
        if not self.first_look <= rounds < self.last_look:
            return rounds >= self.last_look
        return self.settles(a, b)

    def settles(self, a: Figures, b: Figures) -> bool:
        """Return whether two arms are decided, or known well enough."""
        if len(a) < 2:
            return False
        ratio = paired.paired_ratio(a, b, self.first_look)
        if self.half_width is not None and ratio.half_width <= self.half_width:
            return True
        if self.family is None:
            return False
        # Bonferroni over all pairs that are planned: never laxer than Holm over those that are ranked.
        same = paired.equivalence(a, b, first_look=self.first_look)
        return min(self.family * ratio.p, same) <= ALPHA / LOOKING


def rounds_needed(a: Figures, b: Figures, first_look: int | None, family: float) -> float:
    """Return after how many rounds two arms (n,), n >= 2, are decided in four benches of five; never below n.

    If they are as far apart and as scattered as so far: the normal equations of the test of a difference, of
    `family` pairs, and of that of equivalence, solved for n. Infinity for never. Raises ValueError as
    `paired.log_ratios`.
    """
    logs = paired.log_ratios(a, b)
    centre, deviation = abs(float(logs.mean())), float(logs.std(ddof=1))
    freedom = paired.degrees_of_freedom(len(logs), first_look)
    tests = ((ALPHA / family / 2, centre), (ALPHA, math.log1p(MARGIN) - centre))
    away = [(paired.quantile_of(tail, freedom) + POWER, distance) for tail, distance in tests]
    needed = [(far * deviation / distance) ** 2 for far, distance in away if distance > 0]
    return max(len(logs), min(needed, default=math.inf))
