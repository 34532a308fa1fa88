"""Which cells may be timed: those whose artifact and runtime the parity ladder has certified."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import parity
from bench.contract import Cell
from pose.errors import UserError
from pose.files import read_json

REQUIRED = (2, 3, 4, 5, 7)
"""What has to have passed: rungs 1, 6 and 8 are about data, drift and scoring, not about what is timed;
but one of them that was climbed and failed fails the certificate too."""
CERTIFIED = {"pass", "reported"}
"""A lower precision is reported, with its AP difference, and not judged."""


@dataclass(frozen=True)
class Gate:
    """A run's certificate, as the bench asks it."""

    path: Path
    found: dict[str, Any] | None

    def certificate(self, cell: Cell, artifact_sha256: str | None) -> tuple[str | None, str | None]:
        """Return the id of a cell's certificate, or None and the reason why it has none."""
        if self.found is None:
            return None, f"the run has no certificate; {self._climb()}"
        broken = self.found["first_failure"]
        if broken:
            at = f" at {broken['where']}" if broken["where"] else ""
            return None, f"rung {broken['rung']} ({broken['name']}) failed: {broken['check']}{at}"
        statuses = {rung["number"]: rung for rung in self.found["rungs"]}
        for number in REQUIRED:
            rung = statuses[number]
            if rung["status"] != "pass":
                why = f": {rung['reason']}" if rung["reason"] else ""
                return None, f"rung {number} ({rung['name']}) is {rung['status']}{why}; {self._climb()}"
        for arm in self.found["runtimes"]:
            if _is_of(arm, cell):
                return self._decide(arm, artifact_sha256)
        return None, f"the certificate says nothing of this runtime, mode and precision; {self._climb()}"

    def _decide(self, arm: dict[str, Any], artifact_sha256: str | None) -> tuple[str | None, str | None]:
        if arm["artifact_sha256"] != artifact_sha256:
            return None, f"its artifact is not the one that was certified; {self._climb()}"
        if arm["status"] not in CERTIFIED:
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
            name = parity.altered(path, described)
            if name:
                raise UserError(
                    f"{path} was altered since it was certified: parameter '{name}' differs; restore it, "
                    f"or certify it anew with 'twinpose parity {shlex.quote(str(self.path))}', "
                    "or bench it with --uncertified"
                )


def _is_of(arm: dict[str, Any], cell: Cell) -> bool:
    axes = ("runtime", "mode", "precision", "device")
    # An export is of the twin's own weights, through the twin's own framework.
    return arm["subject"] == cell.twin and arm["through"] in {None, cell.twin} and all(
        arm[axis] == getattr(cell, axis) for axis in axes
    )  # fmt: skip


def of_run(path: Path) -> Gate:
    """Return the gate of a run folder; UserError when its parity.json is malformed."""
    file = path / "parity.json"
    if not file.exists():
        return Gate(path, None)
    found = read_json(file, "a certificate that 'twinpose parity' wrote")
    needed = {"schema", "id", "status", "rungs", "runtimes", "weights", "first_failure"}
    if not isinstance(found, dict) or not found.keys() >= needed or found["schema"] != parity.SCHEMA:
        raise UserError(
            f"{file} is no certificate of schema {parity.SCHEMA}; climb again with 'twinpose parity {path}'"
        )
    return Gate(path, found)
