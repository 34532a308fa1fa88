"""What may be doubtful of a round or a cell: each kind's sentence, effect on a verdict, and cure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?")

Effect = Literal["FLAGGED", "INVALID"]
"""The verdict on a round that has it; without any it is VALID. What is only recorded is no doubt."""


@dataclass(frozen=True)
class Kind:
    """What all doubts of a kind share."""

    sentence: str
    """With a place for each figure."""
    cure: str
    """What a user can do about it, as one says it to them; "" of what an older version named by no kind."""
    effect: Effect = "FLAGGED"
    lone: bool = True
    """Whether it flags a cell of which fewer than half of the rounds have it; else it is recorded there."""
    again: bool = True
    """Whether to measure again once that is done."""

    @property
    def what_to_do(self) -> str:
        """Return the cure, and that a new measurement follows where one does."""
        return f"{self.cure}, then measure again" if self.cure and self.again else self.cure


END_OTHERS = "end what else computes here"
COOL = "cool the machine, or lower its clock"
RAISE_QUOTA = "raise the cgroup's processor quota"
COOL_GPU = "cool the GPU, or mend its power supply"
LOCK_GPU = "lock the GPU's clock"
LOOK = "let 'twinpose doctor' look for what disturbs single queries"
UNSET = "unset what sizes it, as 'twinpose doctor' names it"
FIT_THREADS = "give the lane as many threads as work (threads of the matrix)"
REST = "the same bench measures the rest"

OLDER = ""
"""The kind of what an older version stored: a sentence alone."""

KINDS = {
    OLDER: Kind("{}", ""),
    # What others do, and what may be a round's own doing.
    "steal": Kind(
        "the hypervisor took {:.1%} of the processors' time", "measure on another host, or at another hour"
    ),
    "other work": Kind("other work took {:.0%} of the processors' time", END_OTHERS),
    "load": Kind("the load average was {:.1f}, where the round used {:.1f} cores", END_OTHERS),
    "throttled": Kind("the processors were throttled {} times", COOL),
    "quota": Kind("the cgroup's quota held the round back for {:.2g} s", RAISE_QUOTA),
    "clock": Kind(
        "the clock moved from {:.0f} to {:.0f} MHz", "fix the processors' clock, as 'twinpose doctor' says"
    ),
    "gpu slowed": Kind("the GPU was slowed by {}", COOL_GPU),
    "gpu power cap": Kind("the GPU was slowed by {}", "raise the GPU's power limit, or lock a lower clock"),
    "gpu clock": Kind("the GPU's clock moved from {} to {} MHz", LOCK_GPU),
    "gpu users": Kind("{} computed on the GPU", "end what else computes on the GPU"),
    # What a lane's threads did.
    "other threads": Kind("the runtime says {} threads, where the lane has {}", UNSET, "INVALID"),
    "few processors": Kind(
        "{} threads shared {}", "give it more processors, or the lane fewer threads", "INVALID"
    ),
    "busy cores": Kind("{:.2f} cores were busy in a lane of {} threads", FIT_THREADS),
    "idle cores": Kind("{:.2f} cores were busy in a lane of {} threads", FIT_THREADS),
    "idle threads": Kind("{} of the lane's {} threads computed", FIT_THREADS),
    "pool size": Kind("{} has {} threads in a lane of {}", UNSET),
    "read back": Kind(
        "the runtime read back another {} than in the round before",
        "'--again' measures all rounds alike",
        again=False,
    ),
    # What the durations tell. A wild round was made by versions before 0022, and is read.
    "wild": Kind("IQR is {:.1%} of the median", LOOK, "INVALID", lone=False),
    "spread": Kind("IQR is {:.1%} of the median", LOOK),
    "drift": Kind(
        "second halves of rounds are {:+.1%} from first ones, so the figure is known to {:.1%}{}",
        "let it settle by a longer warm-up (warmup_s of the matrix)",
    ),
    "rounds missing": Kind("{} of {} rounds are measured", REST, again=False),
    "no round": Kind("no round was measured", REST, "INVALID", again=False),
}
"""By name."""


class Doubt(msgspec.Struct, frozen=True):
    """One reason not to trust a round or a cell: IQR is 14.0% of the median."""

    kind: str
    """Its name in `KINDS`."""
    figures: tuple[float | int | str, ...] = ()
    """What its sentence names, in that order."""

    @property
    def text(self) -> str:
        """Return the sentence."""
        return KINDS[self.kind].sentence.format(*self.figures)

    @property
    def shape(self) -> str:
        """Return the sentence without its figures."""
        return without_figures(self.text)

    @property
    def value(self) -> float:
        """Return the size of the first figure; 0 where it has none."""
        first = NUMBER.search(self.text)
        return abs(float(first.group())) if first else 0.0

    @property
    def at_most(self) -> str:
        """Return the sentence of the largest of several: IQR is up to 14.0% of the median."""
        return NUMBER.sub(r"up to \g<0>", self.text, count=1)


def without_figures(sentence: str) -> str:
    """Return a sentence with a sign in each figure's place: IQR is #% of the median."""
    return NUMBER.sub("#", sentence)


def doubt(kind: str, *figures: float | str) -> Doubt:
    """Return a doubt of that kind, with what its sentence names."""
    return Doubt(kind, figures)


def older(text: str) -> Doubt:
    """Return the sentence of an older version as a doubt, whose cause nobody stored."""
    return Doubt(OLDER, (text,))


def largest(found: Iterable[Doubt]) -> str:
    """Return the sentence of the largest of some doubts that differ in their figures alone."""
    alike = list(found)
    worst = max(alike, key=lambda one: one.value)
    return worst.text if len({one.text for one in alike}) == 1 else worst.at_most


def by_kind(rounds: Sequence[Iterable[Doubt]]) -> list[dict[int, Doubt]]:
    """Return {place of a round: its largest doubt} of those that say the same, the most frequent first.

    Doubts say the same when their sentences differ in figures alone.
    """
    found: dict[str, dict[int, Doubt]] = defaultdict(dict)
    for place, doubts in enumerate(rounds):
        for one in doubts:
            kept = found[one.shape].setdefault(place, one)
            found[one.shape][place] = max(kept, one, key=lambda other: other.value)
    return sorted(found.values(), key=len, reverse=True)
