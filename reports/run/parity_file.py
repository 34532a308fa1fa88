"""parity.json as the report reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS
from reports.formats import measure, short

SCHEMA = 1


Status = Literal["pass", "fail", "unsupported", "not climbed"]


@dataclass(frozen=True)
class Check:
    """One measured error against one bound."""

    name: str
    measured: float | None
    """None where there was nothing to measure, or where the error was not a number."""
    bound: float | None
    passed: bool | None
    """None for what is reported beside and not judged."""
    reason: str
    """Why the bound is that number."""
    where: str | None = None
    """The parameter, sample or operation with the largest error."""
    note: str | None = None

    @property
    def verdict(self) -> str:
        """Return `pass`, `fail` or `reported`."""
        return "reported" if self.passed is None else "pass" if self.passed else "fail"

    @property
    def against(self) -> str:
        """Return what was measured beside its bound, in words."""
        measured = "nothing" if self.measured is None else measure(self.measured)
        bound = "none" if self.bound is None else measure(self.bound)
        return f"measured {measured}, bound {bound}"


@dataclass(frozen=True)
class Rung:
    """One rung; without checks where it was not climbed."""

    number: int
    name: str
    status: Status
    reason: str | None = None
    wall_s: float | None = None
    checks: tuple[Check, ...] = ()
    kept: bool = False
    """Climbed by an earlier command than the rest."""
    command: str | None = None
    started: str | None = None


@dataclass(frozen=True)
class Certificate:
    """How equal one artifact on one runtime is to its source, in one mode and precision."""

    id: str
    twin: str
    runtime: str
    mode: str
    precision: str
    device: str
    artifact_sha256: str | None
    status: str
    """`pass`, `fail`, `unsupported`, or `reported` where nothing is judged."""
    rmse: float | None = None
    """Of heatmaps, to the float64 reference."""
    bound: float | None = None
    ap: float | None = None
    dap: float | None = None
    """AP minus the source's."""
    dap_low: float | None = None
    dap_high: float | None = None
    """Ends of the bootstrap interval over images."""
    reason: str | None = None
    subject: str | None = None
    """Whose weights these are, where that is not the twin's name."""
    through: str | None = None
    """The twin that an IR was made through."""
    place: str | None = None
    """A hash of the environment that it ran in, where that is one of the runtime's own."""
    shift_px: float | None = None
    """99th percentile over joints of the distance to the reference's keypoints, in input pixels."""

    @property
    def what(self) -> str:
        """Return the name of what it certifies: torch-openvino-ir-bf16-cpu."""
        through = f"through-{self.through}" if self.is_crossed else None
        axes = [self.subject or self.twin, self.runtime, through, self.mode, self.precision, self.device]
        axes += [f"in {short(self.place)}"] if self.place else []
        return "-".join(filter(None, axes))

    @property
    def is_crossed(self) -> bool:
        """Return whether one twin's weights were exported through the other."""
        return self.through not in {None, self.twin}

    def covers(self, cell: Cell) -> bool:
        """Return whether it is about what a cell times: the twin's own weights, exported by itself.

        A loader is covered by whichever of its framework's certificates is first, as the bench's gate has it.
        """
        if not SCENARIOS[cell.scenario].runs_network:
            return not self.is_crossed and (self.subject or self.twin, self.runtime) == (
                *(cell.twin, cell.runtime),
            )
        kind = (self.subject or self.twin, self.runtime, self.mode, self.precision, self.device)
        return not self.is_crossed and kind == (
            *(cell.twin, cell.runtime, cell.mode),
            *(cell.precision, cell.device),
        )


@dataclass(frozen=True)
class Failure:
    """The first check that failed."""

    rung: int
    name: str
    check: str
    where: str | None = None


@dataclass(frozen=True)
class Parity:
    """parity.json."""

    id: str
    recipe: str
    command: str
    status: Literal["pass", "fail", "unsupported"]
    rungs: tuple[Rung, ...]
    started: str | None = None
    wall_s: float | None = None
    first_failure: Failure | None = None
    versions: dict[str, Any] | None = None
    weights: dict[str, Any] | None = None
    runtimes: tuple[Certificate, ...] = ()

    def of(self, status: Status) -> tuple[Rung, ...]:
        """Return the rungs of a status, from the lowest up."""
        return tuple(sorted((r for r in self.rungs if r.status == status), key=lambda r: r.number))
