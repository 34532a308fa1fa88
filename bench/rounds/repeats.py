"""What a bench may spend on measuring disturbed rounds again: never more than on its rounds."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cells.protocol import Protocol
from bench.run.results import Round


@dataclass
class Repeats:
    """Seconds of a bench so far: its rounds as planned, and the repeats of disturbed ones."""

    protocol: Protocol
    rounds_s: float = 0.0
    repeats_s: float = 0.0
    told: bool = False
    """Whether it was told that there is no room."""

    @property
    def room_s(self) -> float:
        """Return how long the next round may measure again, counting what it takes itself at least."""
        least_s = self.protocol.warmup_s + self.protocol.measured_s
        return max(0.0, self.rounds_s + least_s - self.repeats_s)

    def add(self, made: Round) -> bool:
        """Count a round; return whether it is the first that stayed disturbed for want of room."""
        self.rounds_s += made.wall_s - made.repeats_s
        self.repeats_s += made.repeats_s
        lacked = bool(made.disturbances) and made.tries < self.protocol.tries
        first, self.told = lacked and not self.told, self.told or lacked
        return first
