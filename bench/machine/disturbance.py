"""What others do to a measurement: told from its conditions alone, before anybody looks at its durations."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.doubts import Doubt


class Disturbance(msgspec.Struct, frozen=True):
    """One thing that others did to a round while it was measured."""

    cause: str
    """The kind of doubt that it is: a name in `bench.doubts.KINDS`."""
    excess: float
    """How many times its limit it was, above 1; where the limit is none at all, 1 and how much of it."""
    text: str
    """The sentence for people."""
    figures: tuple[float | int | str, ...] = ()
    """What that names; () of an older version."""

    @staticmethod
    def of(excess: float, found: Doubt) -> Disturbance:
        """Return a doubt that is others' doing."""
        return Disturbance(found.kind, excess, found.text, found.figures)

    @property
    def doubt(self) -> Doubt:
        """Return the doubt that it is."""
        return Doubt(self.cause, self.figures)


def worst(found: Sequence[Disturbance]) -> float:
    """Return the excess of the largest of some disturbances; 0 without any."""
    return max((one.excess for one in found), default=0.0)


def counting(tries: Sequence[Sequence[Disturbance]]) -> int:
    """Return which of a round's tries counts: the first undisturbed one, or else the least disturbed.

    Durations decide nothing: an arm cannot gain by being noisy.
    """
    return min(range(len(tries)), key=lambda place: worst(tries[place]))
