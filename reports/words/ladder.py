"""parity.json as the ladder leaves it, and the sentence that it allows at the top of a report."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from bench.parity.certificate import Certificate, Check, Parity, Rung, Status
from reports.formats import measure, short

MATHEMATICS = frozenset({1, 2, 3, 4, 5})
"""Data, weights, forward, gradient, optimizer: without one of them, equality is not proven."""


def verdict(parity: Parity | None) -> tuple[str, str]:
    """Return what may be said of the twins' equality: the claim, and what it rests on."""
    if parity is None:
        return (
            "No certificate exists: the parity ladder has not been climbed for this run.",
            "Nothing here shows that the twins are equal: a difference between them may come from anything.",
        )
    done = parity.of("pass")
    passed = f"{numbered(done)} passed" if done else "no rung passed"
    if parity.status == "fail":
        basis = f"{passed[0].upper()}{passed[1:]}.{_open(parity)}"
        return f"The twins are not proven equal: {first_failure(parity)}.", basis
    proven = {rung.number for rung in done} >= MATHEMATICS
    claim = "proven equal" if proven else "equal as far as the ladder was climbed"
    return f"The twins are {claim}: {passed}.", f"{_open(parity)} Certificate {short(parity.id)}.".strip()


def first_failure(parity: Parity) -> str:
    """Return which check failed first, where, and what was measured against its bound."""
    first = parity.first_failure
    if first is None:
        return "the ladder failed and names no check"
    at = f", at {first.where}" if first.where else ""
    found = next(
        (c for r in parity.rungs if r.number == first.rung for c in r.checks if c.name == first.check), None
    )
    said = f" ({against(found)})" if found else ""
    return f"rung {first.rung} ({first.name}) failed first, in “{first.check}”{at}{said}"


def _open(parity: Parity) -> str:
    """Return a sentence on each kind of rung that says nothing about the twins."""
    kinds: tuple[tuple[Status, str, str], ...] = (
        ("unsupported", "is unsupported here", "are unsupported here"),
        ("not climbed", "was not climbed", "were not climbed"),
    )
    said = ""
    for status, one, many in kinds:
        if rungs := parity.of(status):
            reasons = "; ".join(dict.fromkeys(rung.reason for rung in rungs if rung.reason))
            names = numbered(rungs)
            why = f": {reasons}" if reasons else ""
            said += f" {names[0].upper()}{names[1:]} {one if len(rungs) == 1 else many}{why}."
    return said


def numbered(rungs: Iterable[Rung]) -> str:
    """Return the rungs in words: rung 3; rungs 2 and 3; rungs 1 to 5, 7 and 8."""
    numbers = [rung.number for rung in rungs]
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    parts: list[str] = []
    for start, end in pairwise(starts):
        span = numbers[start:end]
        parts += [f"{span[0]} to {span[-1]}"] if len(span) > 2 else [str(number) for number in span]
    listed = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"rung {listed}" if len(numbers) == 1 else f"rungs {listed}"


def against(check: Check) -> str:
    """Return what was measured beside its bound, in words."""
    measured = "nothing" if check.measured is None else measure(check.measured)
    bound = "none" if check.bound is None else measure(check.bound)
    return f"measured {measured}, bound {bound}"


def certified(one: Certificate) -> str:
    """Return the name of what a certificate is of: torch-openvino-ir-bf16-cpu."""
    through = f"through-{one.through}" if one.is_crossed else None
    axes = [one.subject or one.twin, one.runtime, through, one.mode, one.precision, one.device]
    axes += [f"in {short(one.place)}"] if one.place else []
    return "-".join(filter(None, axes))
