"""Verdicts of a run's cells on each other that another run does not share."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bench.verdicts.comparisons import OPPOSITE, Comparison


class Turned(msgspec.Struct, frozen=True):
    """A verdict on two cells of a run that the other run does not share."""

    set: str
    lane: str
    cell: str
    against: str
    a: str | None
    b: str | None
    """What A and B say of `cell` against `against`; None where they say nothing."""
    reversed: bool
    """From faster to slower or back."""


def turned(a: Iterable[Comparison], b: Iterable[Comparison], chosen: set[str]) -> list[Turned]:
    """Return the verdicts of one run's cells on each other that the other run does not share.

    a, b: the comparisons of comparisons.json; only those of two `chosen` cells. Reversed ones come first.
    """
    first, second = _verdicts(a, chosen), _verdicts(b, chosen)
    found = []
    for key in dict.fromkeys([*first, *second]):
        was, now = first.get(key), second.get(key)
        if was != now:
            name, lane, one, against = key
            back = was is not None and OPPOSITE.get(was) == now
            found.append(Turned(name, lane, one, against, was, now, back))
    return sorted(found, key=lambda one: not one.reversed)


def _verdicts(
    comparisons: Iterable[Comparison], chosen: set[str]
) -> dict[tuple[str, str, str, str], str | None]:
    """Return verdicts by (set, lane, cell, against), cells in one order whichever the run had."""
    found = {}
    for one in comparisons:
        a, b, verdict = one.a, one.b, one.verdict
        if {a, b} <= chosen:
            if a > b:
                a, b, verdict = b, a, OPPOSITE.get(verdict or "", verdict)
            found[one.set, one.lane, a, b] = verdict
    return found
