"""What others do to a measurement: told from its conditions alone, before anybody looks at its durations."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

CURES = {
    "steal": "measure on another host, or at another hour",
    "other work": "end what else computes here",
    "throttled": "cool the machine, or lower its clock",
    "quota": "raise the cgroup's processor quota",
    "gpu slowed": "cool the GPU, or mend its power supply",
    "gpu clock": "lock the GPU's clock",
    "gpu users": "end what else computes on the GPU",
}
"""By cause, what a user can do about it."""

OWN_CURES = {
    "the processors were throttled": CURES["throttled"],
    "the cgroup's quota held": CURES["quota"],
    "the clock moved": "fix the processors' clock, as 'twinpose doctor' says",
    "the load average was": CURES["other work"],
    "the GPU was slowed by its power cap": "raise the GPU's power limit, or lock a lower clock",
    "the GPU was slowed": CURES["gpu slowed"],
    "the GPU's clock moved": CURES["gpu clock"],
}
"""By how its sentence begins, what a user can do about a doubt that may be the round's own doing."""


class Disturbance(msgspec.Struct, frozen=True):
    """One thing that others did to a round while it was measured."""

    cause: str
    """One of `CURES`."""
    excess: float
    """How many times its limit it was, above 1; where the limit is none at all, 1 and how much of it."""
    text: str
    """The sentence for people."""


def worst(found: Sequence[Disturbance]) -> float:
    """Return the excess of the largest of some disturbances; 0 without any."""
    return max((one.excess for one in found), default=0.0)


def counting(tries: Sequence[Sequence[Disturbance]]) -> int:
    """Return which of a round's tries counts: the first undisturbed one, or else the least disturbed.

    Durations decide nothing: an arm cannot gain by being noisy.
    """
    return min(range(len(tries)), key=lambda place: worst(tries[place]))
