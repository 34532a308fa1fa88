"""What casts doubt on a cell: what could change a verdict, or move its figure out of its interval.

What happens to one round alone is in the scatter between rounds, so in the interval: it is recorded, and no
doubt. What happens to most rounds alike is in none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bench.statistics.doubts import Doubt, by_kind, doubt
from bench.statistics.paired import MARGIN
from bench.statistics.samples import counted, drift, spread, t_interval

FLAG_SPREAD = 0.10
INVALID_SPREAD = 0.25
"""Of IQR / median: the middle half of the queries then spans so much that the median itself is in doubt."""
WIDE = "IQR is {:.1%} of the median"
KNOWN_WITHIN = MARGIN / 2
"""How far drift may leave a figure uncertain: half of the margin of equivalence."""


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

    def flagged(self, *doubts: str) -> Validity:
        """Return the same with further reasons, any of which flags what was VALID."""
        verdict = "FLAGGED" if doubts and self.verdict == "VALID" else self.verdict
        return Validity(verdict, [*self.reasons, *doubts])


def steadiness(samples: np.ndarray) -> Steadiness:
    """Return how steady durations (n,) in order of time were."""
    return Steadiness(drift(samples), spread(samples))


def validity(samples: np.ndarray) -> Validity:
    """Return the verdict on a round's durations (n,): INVALID where IQR / median is above 25 %, else VALID.

    What else they say of a figure, only all rounds together know (`cell_validity`).
    """
    wide = spread(samples)
    return Validity("INVALID", [WIDE.format(wide)]) if wide > INVALID_SPREAD else Validity()


def cell_validity(
    rounds: Sequence[Validity],
    steady: Sequence[Steadiness] = (),
    half_width: float | None = None,
    cures: Mapping[str, str] | None = None,
) -> Validity:
    """Return the verdict on a cell, of those on its rounds and of how steady they were.

    INVALID when at least half of the rounds are, FLAGGED when any is not VALID, when at least half spread
    above 10 %, or when they drift alike, beyond what the interval knows (half_width: how far it reaches above
    its middle; None without one). Reasons that differ in their numbers alone become a line with the largest:
    "3 of 7 rounds: IQR is up to 14.0% of the median". cures: by the kind of a doubt, what to do about it.
    """
    if not rounds:
        return Validity("INVALID", ["no round was measured"])
    verdicts = [one.verdict for one in rounds]
    verdict = "VALID" if set(verdicts) == {"VALID"} else "FLAGGED"
    if 2 * verdicts.count("INVALID") >= len(rounds):
        verdict = "INVALID"
    of = counted(len(rounds), "round", "rounds")
    wide = _widely_spread(steady) if verdict != "INVALID" else []
    kinds = [list(kind.values()) for kind in by_kind([one.reasons for one in rounds])]
    # What all rounds together say of the spread, a round that is INVALID for it need not say again.
    kinds = [kind for kind in kinds if not wide or kind[0].kind != doubt(WIDE.format(1.0)).kind]
    told = [(f"{len(kind)} of {of}: {_largest(kind)}", (cures or {}).get(kind[0].kind)) for kind in kinds]
    found = Validity(
        verdict, [f"{said} ({cure}, then measure again)" if cure else said for said, cure in told]
    )
    return found.flagged(*wide, *_drifting_alike(steady, half_width))


def _widely_spread(steady: Sequence[Steadiness]) -> list[str]:
    """Return the doubt that at least half of the rounds spread above 10 %."""
    wide = [one.spread for one in steady if one.spread > FLAG_SPREAD]
    if not wide or 2 * len(wide) < len(steady):
        return []
    of = counted(len(steady), "round", "rounds")
    said = _largest([doubt(WIDE.format(one)) for one in wide])
    return [f"{len(wide)} of {of}: {said}; 'twinpose doctor' looks for what disturbs single queries"]


def _drifting_alike(steady: Sequence[Steadiness], half_width: float | None) -> list[str]:
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
    return [
        f"second halves of rounds are {shared:+.1%} from first ones, so the figure is known to "
        f"{abs(shared) / 2:.1%}{reached}; a longer warm-up (warmup_s of the matrix) lets it settle"
    ]


def _largest(kind: Sequence[Doubt]) -> str:
    """Return the largest of some doubts that differ in their figures alone."""
    largest = max(kind, key=lambda one: one.value)
    return largest.text if len(set(kind)) == 1 else largest.at_most
