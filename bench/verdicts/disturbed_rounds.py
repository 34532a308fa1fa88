"""How many rounds were measured again because others disturbed them, and how many stayed disturbed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bench.cells.scenarios import TIMED
from bench.doubts import KINDS
from bench.run.results import CellResult
from bench.statistics.samples import counted


@dataclass(frozen=True)
class DisturbedRounds:
    """Of the rounds of some cells."""

    rounds: int
    """Timed rounds."""
    again: int
    """Those that were measured more than once."""
    disturbed: int
    """Those whose best try was disturbed all the same."""
    seconds: float
    """That waits for quiet and repeats took."""
    causes: dict[str, int]
    """By cause, of how many rounds that stayed disturbed: the most frequent first."""

    @property
    def text(self) -> str:
        """Return it in words: 2 of 60 rounds measured again, repeats and waits for quiet took 9 s."""
        took = f", repeats and waits for quiet took {self.seconds:.0f} s" if self.seconds >= 0.5 else ""
        return f"{self.again} of {counted(self.rounds, 'round', 'rounds')} measured again{took}"

    @property
    def cure(self) -> str | None:
        """Return how many rounds stayed disturbed and what to do about it; None where none did."""
        if not self.disturbed:
            return None
        cures = " and ".join(KINDS[cause].cure for cause in self.causes if cause in KINDS)
        of = ", ".join(f"{cause} in {count}" for cause, count in self.causes.items())
        rounds = counted(self.disturbed, "round", "rounds")
        return f"{rounds} stayed disturbed ({of}): {cures}, then measure again"


def disturbed_rounds(cells: Iterable[CellResult]) -> DisturbedRounds:
    """Return how many of the cells' timed rounds were measured again, and how many stayed disturbed."""
    rounds = [one for cell in cells if cell.axes.scenario in TIMED for one in cell.rounds]
    stayed = [{one.cause for one in made.disturbances} for made in rounds if made.disturbances]
    causes = Counter(cause for found in stayed for cause in sorted(found))
    again = sum(made.tries > 1 for made in rounds)
    seconds = sum(made.repeats_s for made in rounds)
    return DisturbedRounds(len(rounds), again, len(stayed), seconds, dict(causes.most_common()))
