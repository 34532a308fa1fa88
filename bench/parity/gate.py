"""Which cells may be timed: those whose artifact and runtime the parity ladder has certified."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.cells import runtimes
from bench.cells.cell import Cell
from bench.cells.matrix import Place
from bench.cells.scenarios import OF_A_NETWORK, SCENARIOS
from bench.machine import fingerprint
from bench.parity import certificate as certificate_
from bench.parity import weight_hashes
from bench.parity.certificate import NEEDED, Certificate, Parity
from pose.errors import UserError


@dataclass(frozen=True)
class Gate:
    """A run's certificate, as the bench asks it."""

    path: Path
    found: Parity | None
    installed: Mapping[str, str | None] = field(default_factory=lambda: runtimes.versions())
    """The versions that are installed now, by package."""
    has_gpu: bool = field(default_factory=lambda: bool(fingerprint.gpus()))
    places: Mapping[str, Place] = field(default_factory=dict)
    """By runtime: where the bench runs it, if not in this environment."""

    def certificate(self, cell: Cell, artifact_sha256: str | None) -> tuple[str | None, str | None]:
        """Return the id of a cell's certificate, or None and the reason why it has none."""
        arm, refused = self._decide(cell, artifact_sha256)
        return (None, refused) if refused or arm is None else (arm.id, None)

    def bars(self, cell: Cell, artifact_sha256: str | None) -> tuple[str, str] | None:
        """Return the status and the reason of a cell that may not be timed; None when it may be tried.

        `unsupported` where only rung 7 stands in the way, and could not run it. A cell without an artifact,
        or for a GPU where there is none, lacks no certificate: its child says what it lacks.
        """
        if not SCENARIOS[cell.scenario].rungs or not artifact_sha256:
            return None
        arm, refused = self._decide(cell, artifact_sha256)
        if not refused or (cell.device == "cuda" and not self.has_gpu):
            return None
        return "unsupported" if arm and arm.status == "unsupported" else "uncertified", refused

    def _decide(self, cell: Cell, artifact_sha256: str | None) -> tuple[Certificate | None, str | None]:
        """Return the certificate that speaks of a cell, if it comes to that, and why it is not certified."""
        if self.found is None:
            return None, f"the run has no certificate; {self._climb()}"
        if blocked := self._blocked(self.found, cell):
            return None, blocked
        arm = self._arm(self.found, cell)
        if arm is None:
            own = "give 'twinpose parity' the bench's own --matrix and --device"
            return None, f"{certificate_.SILENT}; {own}: {self._climb()}"
        refused = certificate_.refused(arm, cell, artifact_sha256)
        if refused and arm.artifact_sha256 != artifact_sha256:
            refused = f"{refused}; {self._climb()}"
        return arm, refused

    def _arm(self, found: Parity, cell: Cell) -> Certificate | None:
        place = self.places.get(cell.runtime, Place()).key
        return next((one for one in found.runtimes if one.covers(cell) and one.place == place), None)

    def is_whole(self) -> bool:
        """Return whether all that was climbed passed, and every rung that some timing needs is among it."""
        found = self.found
        return found is not None and found.status == "pass" and not certificate_.lacks(found, NEEDED)

    def outdated(self, runtime: str, twin: str) -> str | None:
        """Return why what was certified is not what is installed now; None when it is, or is not recorded.

        Only packages that have a part count: the runtime's and the twin's own framework's. One that is not
        here refuses nothing: what needs it says so itself, and an export may run without its source.
        """
        recorded = (self.found and self.found.versions) or {}
        pairs = [
            f"{name} {recorded[name]} was certified and {self.installed[name]} is installed"
            for name in certificate_.packages_of(runtime, twin)
            if recorded.get(name) and self.installed.get(name) not in {None, recorded[name]}
        ]
        return f"{', '.join(pairs)}; {self._climb()}" if pairs else None

    def _blocked(self, found: Parity, cell: Cell) -> str | None:
        """Return why the cell has no certificate, whatever its own arm says."""
        if untrained := certificate_.untrained(cell):
            return f"{untrained}; --uncertified times without"
        # What is not timed needs none; it carries the one of a timing.
        lacks = certificate_.lacks(found, SCENARIOS[cell.scenario].rungs or OF_A_NETWORK)
        barred = certificate_.failed(found) or (lacks and f"{lacks}; {self._climb()}")
        return barred or self.outdated(cell.runtime, cell.twin)

    def _climb(self) -> str:
        return (
            f"'twinpose parity {shlex.quote(str(self.path))}' climbs the ladder, --uncertified times without"
        )

    def require_unaltered(self) -> None:
        """Raise UserError naming the first parameter that is not what it was when it was certified."""
        for twin, described in ((self.found and self.found.weights) or {}).items():
            path = self.path / "train" / twin / "best.safetensors"
            if not path.exists():
                continue
            name = weight_hashes.altered(path, described)
            if name:
                raise UserError(
                    f"{path} was altered since it was certified: parameter '{name}' differs; restore it, "
                    f"or certify it anew with 'twinpose parity {shlex.quote(str(self.path))}', "
                    "or bench it with --uncertified"
                )


def of_run(path: Path, places: Mapping[str, Place] | None = None) -> Gate:
    """Return the gate of a run folder; UserError when its parity.json is malformed.

    places: of the runtimes, as the matrix that is to be measured has them.
    """
    return Gate(path, certificate_.read(path), places=places or {})
