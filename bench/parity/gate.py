"""Which cells may be timed: those whose artifact and runtime the parity ladder has certified."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cells import runtimes
from bench.cells.cell import Cell
from bench.cells.matrix import Place
from bench.cells.scenarios import OF_A_NETWORK, SCENARIOS
from bench.machine import fingerprint
from bench.parity import certificate as certificate_
from bench.parity.certificate import CERTIFIED
from bench.run import results as results_
from bench.run.results import CellResult
from pose.errors import UserError
from pose.files import read_json


@dataclass(frozen=True)
class Gate:
    """A run's certificate, as the bench asks it."""

    path: Path
    found: dict[str, Any] | None
    installed: Mapping[str, str | None] = field(default_factory=lambda: runtimes.versions())
    """The versions that are installed now, by package."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """By runtime: where the bench runs it, if not in this environment."""

    def certificate(self, cell: Cell, artifact_sha256: str | None) -> tuple[str | None, str | None]:
        """Return the id of a cell's certificate, or None and the reason why it has none."""
        if self.found is None:
            return None, f"the run has no certificate; {self._climb()}"
        if refused := self._blocked(cell):
            return None, refused
        if arm := self._arm(cell):
            return self._decide(arm, cell, artifact_sha256)
        return None, (
            "the certificate says nothing of this runtime, mode, precision and device; "
            f"give 'twinpose parity' the bench's own --matrix and --device: {self._climb()}"
        )

    def bars(self, cell: Cell, artifact_sha256: str | None) -> tuple[str, str] | None:
        """Return the status and the reason of a cell that may not be timed; None when it may be tried.

        `unsupported` where only rung 7 stands in the way, and could not run it. A cell without an artifact,
        or for a GPU where there is none, lacks no certificate: its child says what it lacks.
        """
        if not SCENARIOS[cell.scenario].rungs or not artifact_sha256:
            return None
        _, refused = self.certificate(cell, artifact_sha256)
        if not refused or (cell.device == "cuda" and not fingerprint.gpus()):
            return None
        arm = None if self.found is None or self._blocked(cell) else self._arm(cell)
        return "unsupported" if arm and arm["status"] == "unsupported" else "uncertified", refused

    def _arm(self, cell: Cell) -> dict[str, Any] | None:
        return next((arm for arm in (self.found or {})["runtimes"] if self._is_of(arm, cell)), None)

    def _is_of(self, arm: Mapping[str, Any], cell: Cell) -> bool:
        # An export is of the twin's own weights, through the twin's own framework.
        if arm["subject"] != cell.twin or arm["through"] not in {None, cell.twin}:
            return False
        if arm.get("place") != self.places.get(cell.runtime, Place()).key:
            return False
        # A loader ends in host memory: the first of the framework's certificates speaks for the twin.
        runs = SCENARIOS[cell.scenario].runs_network
        axes = ("runtime", "mode", "precision", "device") if runs else ("runtime",)
        return all(arm[axis] == getattr(cell, axis) for axis in axes)

    def is_whole(self) -> bool:
        """Return whether all that was climbed passed, and every rung that some timing needs is among it."""
        return (
            self.found is not None and self.found["status"] == "pass" and not self._lacks(certificate_.NEEDED)
        )

    def outdated(self, runtime: str, twin: str) -> str | None:
        """Return why what was certified is not what is installed now; None when it is, or is not recorded.

        Only packages that have a part count: the runtime's and the twin's own framework's. One that is not
        here refuses nothing: what needs it says so itself, and an export may run without its source.
        """
        recorded = (self.found or {}).get("versions") or {}
        pairs = [
            f"{name} {recorded[name]} was certified and {self.installed[name]} is installed"
            for name in certificate_.packages_of(runtime, twin)
            if recorded.get(name) and self.installed.get(name) not in {None, recorded[name]}
        ]
        return f"{', '.join(pairs)}; {self._climb()}" if pairs else None

    def _blocked(self, cell: Cell) -> str | None:
        """Return why the cell has no certificate, whatever its own arm says."""
        asked = SCENARIOS[cell.scenario]
        if asked.unproven and cell.precision != "fp32":
            return f"{asked.unproven.format(cell.precision)}; --uncertified times without"
        # What is not timed needs none; it carries the one of a timing.
        rungs = asked.rungs or OF_A_NETWORK
        return self._failed() or self._lacks(rungs) or self.outdated(cell.runtime, cell.twin)

    def _failed(self) -> str | None:
        broken = (self.found or {}).get("first_failure")
        if not broken:
            return None
        at = f" at {broken['where']}" if broken["where"] else ""
        return f"rung {broken['rung']} ({broken['name']}) failed: {broken['check']}{at}"

    def _lacks(self, numbers: Iterable[int]) -> str | None:
        """Return which of the rungs has not passed first, and why."""
        rungs = {rung["number"]: rung for rung in (self.found or {})["rungs"]}
        for number in sorted(numbers):
            rung = rungs[number]
            if rung["status"] != "pass":
                why = f": {rung['reason']}" if rung["reason"] else ""
                return f"rung {number} ({rung['name']}) is {rung['status']}{why}; {self._climb()}"
        return None

    def _decide(
        self, arm: dict[str, Any], cell: Cell, artifact_sha256: str | None
    ) -> tuple[str | None, str | None]:
        if arm["artifact_sha256"] != artifact_sha256:
            return None, f"its artifact is not the one that was certified; {self._climb()}"
        if SCENARIOS[cell.scenario].runs_network and arm["status"] not in CERTIFIED:
            return None, f"rung 7 (Deployment): {arm['status']}: {arm['reason']}"
        return arm["id"], None

    def _climb(self) -> str:
        return (
            f"'twinpose parity {shlex.quote(str(self.path))}' climbs the ladder, --uncertified times without"
        )

    def require_unaltered(self) -> None:
        """Raise UserError naming the first parameter that is not what it was when it was certified."""
        for twin, described in (self.found or {}).get("weights", {}).items():
            path = self.path / "train" / twin / "best.safetensors"
            if not path.exists():
                continue
            name = certificate_.altered(path, described)
            if name:
                raise UserError(
                    f"{path} was altered since it was certified: parameter '{name}' differs; restore it, "
                    f"or certify it anew with 'twinpose parity {shlex.quote(str(self.path))}', "
                    "or bench it with --uncertified"
                )


def unproven(results: Iterable[CellResult]) -> frozenset[str]:
    """Return the IDs of the cells that were timed and carry no certificate."""
    return frozenset(
        one.id
        for one in results
        if one.status == "ok" and SCENARIOS[one.axes.scenario].rungs and one.certificate_id is None
    )


def of_run(path: Path, places: Mapping[str, Place] | None = None) -> Gate:
    """Return the gate of a run folder; UserError when its parity.json is malformed.

    places: of the runtimes, as the matrix that is to be measured has them.
    """
    file = path / "parity.json"
    if not file.exists():
        return Gate(path, None)
    found = read_json(file, "a certificate that 'twinpose parity' wrote")
    results_.require_known(file, found, certificate_.SCHEMA)
    needed = {"schema", "id", "status", "rungs", "runtimes", "weights", "first_failure"}
    if not isinstance(found, dict) or not found.keys() >= needed:
        again = f"twinpose parity {shlex.quote(str(path))}"
        raise UserError(
            f"{file} is no certificate of schema {certificate_.SCHEMA}; climb again with '{again}'"
        )
    return Gate(path, found, places=places or {})
