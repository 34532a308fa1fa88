"""Doubts about rounds, sentences in a cell's file: of one kind when they differ in figures alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Doubt:
    """One reason not to trust a round: IQR is 14.0% of the median."""

    kind: str
    """The sentence without its figures: IQR is #% of the median."""
    value: float
    """The size of its first figure; 0 where it has none."""
    text: str

    @property
    def at_most(self) -> str:
        """Return the sentence of the largest of several: IQR is up to 14.0% of the median."""
        return NUMBER.sub(r"up to \g<0>", self.text, count=1)


def doubt(text: str) -> Doubt:
    """Return a stored sentence as a doubt."""
    first = NUMBER.search(text)
    return Doubt(NUMBER.sub("#", text), abs(float(first.group())) if first else 0.0, text)


def by_kind(rounds: Sequence[Sequence[str]]) -> list[dict[int, Doubt]]:
    """Return {place of a round: its largest doubt of the kind} for each kind, the most frequent first."""
    found: dict[str, dict[int, Doubt]] = defaultdict(dict)
    for place, sentences in enumerate(rounds):
        for one in map(doubt, sentences):
            kept = found[one.kind].setdefault(place, one)
            found[one.kind][place] = max(kept, one, key=lambda other: other.value)
    return sorted(found.values(), key=len, reverse=True)
