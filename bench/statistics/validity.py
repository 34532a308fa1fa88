"""What casts doubt on a cell: what could change a verdict, or move its figure out of its interval.

What happens to one round alone is in the scatter between rounds, so in the interval: it is recorded, and no
doubt. What happens to most rounds alike is in none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from bench.doubts import KINDS, Doubt, by_kind, doubt, largest, older
from bench.statistics.paired import MARGIN
from bench.statistics.samples import counted, drift, spread, t_interval

FLAG_SPREAD = 0.10
"""Of IQR / median: medians of queries that span so much may jump from round to round."""
KNOWN_WITHIN = MARGIN / 2
"""How far drift may leave a figure uncertain: half of the margin of equivalence."""

Said = tuple[str, Doubt]
"""What is said of a cell, and the doubt that it is of; the largest of several rounds'."""


class Steadiness(msgspec.Struct, frozen=True):
    """How steady a round's durations were."""

    drift: float
    """Median of the second half / median of the first - 1."""
    spread: float
    """IQR / median."""


class Validity(msgspec.Struct, frozen=True):
    """Whether the figures may be compared, and why not."""

    verdict: str = "VALID"
    """VALID, FLAGGED or INVALID; what is INVALID is never ranked."""
    reasons: list[str] = []
    """Sentences; those of a cell say of how many rounds, and what to do."""
    doubts: list[Doubt] = []
    """By reason its kind and figures, of several rounds those of the largest; [] of an older version."""

    @staticmethod
    def of(*doubts: Doubt) -> Validity:
        """Return the verdict on a round that has these doubts; what makes it INVALID stands first."""
        found = sorted(doubts, key=lambda one: KINDS[one.kind].effect != "INVALID")
        verdict = KINDS[found[0].kind].effect if found else "VALID"
        return Validity(verdict, [one.text for one in found], found)

    @property
    def known(self) -> list[Doubt]:
        """Return the doubts; what an older version said as doubts of no kind."""
        return self.doubts or [older(text) for text in self.reasons]


def steadiness(samples: np.ndarray) -> Steadiness:
    """Return how steady durations (n,) in order of time were."""
    return Steadiness(drift(samples), spread(samples))


def cell_validity(
    rounds: Sequence[Validity],
    steady: Sequence[Steadiness] = (),
    half_width: float | None = None,
    measured_of: tuple[int, int] = (0, 0),
) -> Validity:
    """Return the verdict on a cell, of those on its rounds and of how steady they were.

    INVALID when at least half of the rounds are; FLAGGED when any is not VALID (but for a kind that is only
    recorded where fewer than half have it), when at least half spread above 10 %, when they drift alike,
    beyond what the interval knows (half_width: how far it reaches above its middle; None without one), or
    when fewer are measured than are wanted (measured_of). Doubts that differ in their numbers alone become
    a line with the largest, and with what to do: "3 of 7 rounds: IQR is up to 14.0% of the median (...)".
    """
    if not rounds:
        return Validity.of(doubt("no round"))
    invalid = 2 * sum(one.verdict == "INVALID" for one in rounds) >= len(rounds)
    counting = [[one for one in made.known if invalid or KINDS[one.kind].lone] for made in rounds]
    found = [_of_rounds([*kind.values()], len(rounds)) for kind in by_kind(counting)]
    found += [] if invalid else _widely_spread(steady)
    found += _drifting_alike(steady, half_width)
    missing = doubt("rounds missing", *measured_of)
    found += [(missing.text, missing)] if measured_of[0] < measured_of[1] else []
    verdict = "INVALID" if invalid else "FLAGGED" if found else "VALID"
    said = [f"{text} ({cure})" if (cure := KINDS[one.kind].what_to_do) else text for text, one in found]
    return Validity(verdict, said, [one for _, one in found])


def _of_rounds(alike: Sequence[Doubt], rounds: int) -> Said:
    """Return what some of so many rounds have, which differs in figures alone."""
    of = counted(rounds, "round", "rounds")
    return f"{len(alike)} of {of}: {largest(alike)}", max(alike, key=lambda one: one.value)


def _widely_spread(steady: Sequence[Steadiness]) -> list[Said]:
    """Return the doubt that at least half of the rounds spread above 10 %."""
    wide = [doubt("spread", one.spread) for one in steady if one.spread > FLAG_SPREAD]
    return [_of_rounds(wide, len(steady))] if wide and 2 * len(wide) >= len(steady) else []


def _drifting_alike(steady: Sequence[Steadiness], half_width: float | None) -> list[Said]:
    """Return the doubt that drift moves the figure farther than its interval, and 1 %, reach.

    A round's median lies half of its drift from those of its halves. Drift to and fro scatters the rounds,
    so the interval knows it; drift that all share (its 95 % t interval over rounds leaves out 0) is in none.
    """
    if not steady:
        return []
    logs = [math.log1p(one.drift) for one in steady]
    low, high = t_interval(logs) if len(logs) > 1 else (logs[0], logs[0])
    shared = math.expm1(float(np.mean(logs)))
    if low <= 0 <= high or abs(shared) / 2 <= max(half_width or 0.0, KNOWN_WITHIN):
        return []
    reached = "" if half_width is None else f", its interval {half_width:.1%}"
    found = doubt("drift", shared, abs(shared) / 2, reached)
    return [(found.text, found)]
