"""What a bench may spend on waits for quiet and repeats of disturbed rounds: no more than on its rounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.cells.protocol import Protocol
from bench.run.results import Round
from bench.scenarios.tries import NO_BUDGET, NO_TIME, QUIET_MOST_S

NO_ROOM, NO_TIME_LEFT, NEVER_QUIET = "no_room_to_repeat", "no_time_to_repeat", "never_quiet"
IN_VAIN = 3
"""Rounds that stay disturbed in succession, after which a machine is called never quiet."""


@dataclass
class Repeats:
    """Seconds of a bench so far: its rounds, and beside them the waits for quiet and the repeats."""

    protocol: Protocol
    planned: int
    """Timed rounds that the bench is to measure at least."""
    rounds_s: float = 0.0
    count: int = 0
    """Rounds so far."""
    repeats_s: float = 0.0
    in_vain: int = 0
    """Rounds in succession that stayed disturbed."""
    told: set[str] = field(default_factory=set)
    """What was told once."""

    @property
    def room_s(self) -> float:
        """Return how long the next round may wait and repeat, of what the planned rounds take.

        That is as many as the mean of those so far, and before any at least their windows.
        """
        least_s = self.protocol.warmup_s + self.protocol.measured_s
        each_s = self.rounds_s / self.count if self.count else least_s
        return max(self.rounds_s, self.planned * each_s) - self.repeats_s

    @property
    def quiet_s(self) -> float:
        """Return how long the next round waits for quiet, at most: half as long after each round in vain."""
        return QUIET_MOST_S * 0.5**self.in_vain

    def to_dict(self) -> dict[str, float]:
        """Return what a round's child is told."""
        return {"repeat_s": self.room_s, "quiet_s": self.quiet_s}

    def add(self, made: Round) -> list[str]:
        """Count a round; return what is to be told now, each once: NO_ROOM, NO_TIME_LEFT, NEVER_QUIET."""
        self.rounds_s += made.wall_s - made.repeats_s
        self.count += 1
        self.repeats_s += made.repeats_s
        self.in_vain = self.in_vain + 1 if made.disturbances else 0
        found = {
            NO_ROOM: made.lacked == NO_BUDGET,
            NO_TIME_LEFT: made.lacked == NO_TIME,
            NEVER_QUIET: self.in_vain == IN_VAIN and self.protocol.tries > 1,
        }
        new = [what for what, holds in found.items() if holds and what not in self.told]
        self.told.update(new)
        return new
