"""What casts doubt on a round's samples and on a cell's rounds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from bench.statistics.doubts import Doubt, by_kind
from bench.statistics.samples import counted, drift, spread

FLAG_SPREAD = 0.10
INVALID_SPREAD = 0.25
FLAG_DRIFT = 0.02


class Validity(msgspec.Struct, frozen=True):
    """Whether the figures may be compared, and why not."""

    verdict: str = "VALID"
    """VALID, FLAGGED or INVALID; what is INVALID is never ranked."""
    reasons: list[str] = []

    def flagged(self, *doubts: str) -> Validity:
        """Return the same with further reasons, any of which flags what was VALID."""
        verdict = "FLAGGED" if doubts and self.verdict == "VALID" else self.verdict
        return Validity(verdict, [*self.reasons, *doubts])


def validity(samples: np.ndarray) -> Validity:
    """Return the verdict on durations (n,) in order of time.

    IQR / median above 10 % flags and above 25 % invalidates; a drift between halves above 2 % flags.
    """
    verdict, reasons = "VALID", []
    if abs(moved := drift(samples)) > FLAG_DRIFT:
        verdict = "FLAGGED"
        reasons.append(f"the second half is {moved:+.1%} from the first")
    if (wide := spread(samples)) > FLAG_SPREAD:
        verdict = "INVALID" if wide > INVALID_SPREAD else "FLAGGED"
        reasons.append(f"IQR is {wide:.1%} of the median")
    return Validity(verdict, reasons)


def cell_validity(rounds: Sequence[Validity]) -> Validity:
    """Return the verdict on a cell, of those on its rounds.

    INVALID when at least half of the rounds are, FLAGGED when any is not VALID. Reasons that differ
    in their numbers alone become a line with the largest: "3 of 7 rounds: IQR is up to 14.0% of the median".
    """
    if not rounds:
        return Validity("INVALID", ["no round was measured"])
    verdicts = [one.verdict for one in rounds]
    verdict = "VALID" if set(verdicts) == {"VALID"} else "FLAGGED"
    if 2 * verdicts.count("INVALID") >= len(rounds):
        verdict = "INVALID"
    of = counted(len(rounds), "round", "rounds")
    kinds = [list(kind.values()) for kind in by_kind([one.reasons for one in rounds])]
    return Validity(verdict, [f"{len(kind)} of {of}: {_largest(kind)}" for kind in kinds])


def _largest(kind: Sequence[Doubt]) -> str:
    """Return the largest of some doubts that differ in their figures alone."""
    largest = max(kind, key=lambda one: one.value)
    return largest.text if len(set(kind)) == 1 else largest.at_most
