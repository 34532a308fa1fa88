"""What a comparison of two runs found: a record a cell, a record of all, and the exit code of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from bench.compare.changed_verdicts import Turned
from bench.compare.floors import CheckedFloor, missed

FLOOR_MISSED = 1
REGRESSED = 4
NOT_MEASURED = 5
MACHINES_DIFFER = 6
"""Exit codes. A floor asks nothing of A and comes first; on another machine nothing has regressed."""


class ComparedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell or benchmark of A."""

    id: str
    status: str
    """`compared`, `regressed`, `not comparable` (another question), `not measured` (in B), `nothing in A`."""
    kind: str
    """`time`, `rate` or `accuracy`."""
    unit: str
    a: float | None = None
    b: float | None = None
    """Geometric means over rounds; of an accuracy the AP."""
    n_a: int = 0
    n_b: int = 0
    """Rounds."""
    ratio: float | None = None
    """b / a."""
    interval: tuple[float, float] | None = None
    """95 %, of the ratio."""
    speedup: float | None = None
    """How many times B is faster than A."""
    speedup_interval: tuple[float, float] | None = None
    p: float | None = None
    """Of no difference, two-sided."""
    p_holm: float | None = None
    """The same for all timed cells, or all APs, at once (Holm 1979)."""
    p_rank: float | None = None
    p_equivalence: float | None = None
    difference: float | None = None
    """AP of B - AP of A."""
    difference_interval: tuple[float, float] | None = None
    """95 %, by the bootstrap over images."""
    verdict: str | None = None
    """B against A: `faster`, `slower`, `equivalent`, `inconclusive`; of an AP `higher`, `lower`, `equal`,
    `inconclusive`."""
    reason: str | None = None
    """Why there is no verdict, what makes it not comparable, or what makes this verdict doubtful."""
    exempt: bool = False
    """Whether it is no gap that B lacks it: the second arm of an A/A pair."""


class ComparedRuns(msgspec.Struct, frozen=True, kw_only=True):
    """All that a comparison found."""

    a: str
    b: str
    kind: str
    """`run` or `benchmarks`."""
    fail_over: float
    machine: list[dict[str, Any]]
    """[{"what", "a", "b"}]: what of the machine differs."""
    environment: list[dict[str, Any]]
    """The same of packages, Python and the operating system."""
    protocol: list[dict[str, Any]]
    """The same of how it was measured."""
    recipe: list[dict[str, Any]]
    """The same of recipe and boxes, where both are known."""
    resolution: dict[str, float | None] = {}
    """By side ("a", "b") the smallest difference that its bench can tell, as a fraction; None if unknown."""
    rows: list[ComparedCell]
    only_in_b: list[str]
    turned: list[Turned]
    floors: list[CheckedFloor] = []
    """Of B."""

    def exit_code(self, across_machines: bool = False) -> int:
        """Return 0, or the code of the first that holds.

        A floor is missed, machines differ, a cell has regressed, a cell was not measured. What is not
        comparable counts as not measured: nothing in B says anything of A's.
        """
        if missed(self.floors):
            return FLOOR_MISSED
        statuses = {row.status for row in self.rows if not row.exempt}
        if self.machine and not across_machines:
            return MACHINES_DIFFER
        if "regressed" in statuses:
            return REGRESSED
        return NOT_MEASURED if statuses & {"not measured", "not comparable"} else 0

    def counts(self) -> dict[str, int]:
        """Return how many rows have each verdict or, without one, each status; and the regressed ones."""
        found = Counter(row.verdict or row.status for row in self.rows)
        found["regressed"] = sum(row.status == "regressed" for row in self.rows)
        return dict(found)

    def to_dict(self, across_machines: bool = False) -> dict[str, Any]:
        """Return everything as JSON."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return {**made, "counts": self.counts(), "exit_code": self.exit_code(across_machines)}
