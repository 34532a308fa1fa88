"""What a bench may spend on waits for quiet and repeats of disturbed rounds: no more than on its rounds."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cells.protocol import Protocol
from bench.run.results import Round


@dataclass
class Repeats:
    """Seconds of a bench so far: its rounds, and beside them the waits for quiet and the repeats."""

    protocol: Protocol
    planned: int
    """Timed rounds that the bench is to measure at least."""
    rounds_s: float = 0.0
    repeats_s: float = 0.0
    told: bool = False
    """Whether it was told that there is no room."""

    @property
    def room_s(self) -> float:
        """Return how long the next round may wait and repeat, of what the rounds take at least."""
        least_s = self.planned * (self.protocol.warmup_s + self.protocol.measured_s)
        return max(0.0, self.rounds_s, least_s) - self.repeats_s

    def add(self, made: Round) -> bool:
        """Count a round; return whether it is the first that stayed disturbed for want of room."""
        self.rounds_s += made.wall_s - made.repeats_s
        self.repeats_s += made.repeats_s
        lacked = bool(made.disturbances) and made.tries < self.protocol.tries
        first, self.told = lacked and not self.told, self.told or lacked
        return first
