"""An answer: the word that it begins with, its figures, what it rests on, and what would decide it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reports.formats import difference
from reports.run.read import Run

State = Literal["decided", "open", "no"]
NOT_DECIDED = "Not decided"


@dataclass(frozen=True)
class Evidence:
    """A table or a figure of the report."""

    label: str
    names: tuple[str, ...]
    """Of the tables and figures that would show it, the best first."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run says to a question."""

    key: str
    question: str
    word: str
    """What it begins with: yes, no, a winner's name, not decided."""
    said: str
    """The figures, with their intervals."""
    decides: str = ""
    """What would decide it; "" where it is decided."""
    command: str = ""
    """What to type for that."""
    evidence: Evidence
    state: State = "decided"
    """`no` is a finding that warns: nothing behind it may be cited."""

    @property
    def text(self) -> str:
        """Return the whole answer on one line, without markup."""
        more = " ".join(filter(None, (self.decides, self.command)))
        found = (f"{self.word}{self.stop}", self.figures, f"To decide: {more}" if more else "")
        return " ".join(filter(None, found))

    @property
    def stop(self) -> str:
        """Return what stands after the word: a colon where the figures prove it."""
        return "." if self.state == "open" else ":"

    @property
    def figures(self) -> str:
        """Return what stands after the word, as whole sentences."""
        return sentences((self.said,))


def sentences(parts: Iterable[str]) -> str:
    """Return what is not empty as sentences, each closed once."""
    return " ".join(part if part[-1] in ".:?!" else f"{part}." for part in parts if part)


def listed(names: Iterable[str], last: str = "and") -> str:
    """Return names as a list in words: a; a and b; a, b and c."""
    *first, end = list(dict.fromkeys(names))
    return f"{', '.join(first)} {last} {end}" if first else end


def ap_difference(value: float, ends: tuple[float, float]) -> str:
    """Return a difference of AP and the ends of its interval: +0.005 [−0.009, +0.016]."""
    return f"{difference(value)} [{difference(ends[0])}, {difference(ends[1])}]"


def capital(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def verb(run: Run, name: str, *options: str) -> str:
    """Return a command over the run: twinpose bench RUN --profile standard."""
    return " ".join(("twinpose", name, shlex.quote(_place(run)), *options))


def _place(run: Run) -> str:
    """Return the run's folder as the command that made it said: a path of here tells nothing elsewhere."""
    words = str(run.facts.get("command") or "").split()
    return words[words.index("--out") + 1] if "--out" in words[:-1] else str(run.path)
