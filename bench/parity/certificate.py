"""The certificate: parity.json as it is written and read, and the one rule by which a timing is certified.

A timing is certified while a ladder that passed the rungs it needs covers its very artifact, on its
runtime, in its mode, precision and device. The gate asks it before a timing, the bench, `compare`,
LoadGen's table and the report after it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.cells.cell import Cell
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS
from bench.run import results as results_
from bench.run.results import CellResult
from pose.errors import UserError
from pose.files import read_json

CERTIFIED = ("pass", "reported")
"""What a certificate may say: a lower precision is reported, with its AP difference, and not judged."""

SCHEMA = 1
ARM = ("subject", "through", "runtime", "mode", "precision", "device", "artifact_sha256", "place")
"""What tells two certificates of a ladder apart."""

NEEDED = frozenset(number for one in SCENARIOS.values() for number in one.rungs)
"""What some timing needs."""

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


@dataclass(frozen=True)
class Failure:
    """The first check that failed."""

    rung: int
    name: str
    check: str
    where: str | None = None


@dataclass(frozen=True)
class Rung:
    """One rung; without checks where it was not climbed."""

    number: int
    name: str
    status: Status
    reason: str | None = None
    checks: tuple[Check, ...] = ()
    wall_s: float | None = None
    kept: bool = False
    """Climbed by an earlier command than the rest."""
    command: str | None = None
    started: str | None = None

    @property
    def failure(self) -> Failure | None:
        """Return where it failed first; None where it did not."""
        if self.status != "fail":
            return None
        broken = next((check for check in self.checks if check.passed is False), None)
        check, where = (broken.name, broken.where) if broken else (self.reason or "no reason recorded", None)
        return Failure(self.number, self.name, check, where)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """How equal one artifact on one runtime is to its source, in one mode and precision."""

    id: str
    """A hash of all that it rests on; "" before the whole ladder is climbed."""
    subject: str | None = None
    """Whose weights these are, where that is not the twin's name."""
    twin: str
    """The source of the weights."""
    through: str | None = None
    """The twin that the artifact was made through, where either may be."""
    runtime: str
    mode: str
    precision: str
    device: str
    artifact_sha256: str | None
    status: str
    """`pass`, `fail`, `unsupported`, or `reported` where nothing is judged."""
    reason: str | None = None
    """Why it is not `pass`."""
    rmse: float | None = None
    """Of the probe set's heatmaps to the float64 reference."""
    bound: float | None = None
    shift_px: float | None = None
    """99th percentile over joints of the distance to the reference's keypoints, in input pixels."""
    ap: float | None = None
    dap: float | None = None
    """AP less the source's, with its 95% interval over images."""
    dap_low: float | None = None
    dap_high: float | None = None
    batch: int | None = None
    """That the artifact is for; None where it takes any."""
    place: str | None = None
    """A hash of the environment that the matrix gives the runtime; None for this one."""

    @property
    def arm(self) -> tuple[str | None, ...]:
        """Return what tells it from the others of a ladder, in the order of `ARM`."""
        return tuple(getattr(self, name) for name in ARM)

    def facts(self) -> dict[str, Any]:
        """Return all that it says but its id, which is of the whole ladder."""
        return {name: value for name, value in asdict(self).items() if name != "id"}

    @property
    def is_crossed(self) -> bool:
        """Return whether one twin's weights were exported through the other."""
        return self.through not in {None, self.twin}

    def covers(self, cell: Cell) -> bool:
        """Return whether it is about what a cell times: the twin's own weights, exported by itself.

        A loader is covered by whichever of its framework's certificates is first, as the bench's gate has it.
        """
        if self.batch not in {None, cell.batch}:
            return False
        if self.is_crossed or (self.subject or self.twin, self.runtime) != (cell.twin, cell.runtime):
            return False
        kind = (self.mode, self.precision, self.device)
        return not SCENARIOS[cell.scenario].runs_network or kind == (cell.mode, cell.precision, cell.device)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """parity.json."""

    id: str
    schema: int = SCHEMA
    recipe: str
    recipe_sha256: str | None = None
    """Of what decides the network and its training."""
    status: Literal["pass", "fail", "unsupported"]
    first_failure: Failure | None = None
    versions: dict[str, Any] | None = None
    rungs: tuple[Rung, ...]
    weights: dict[str, Any] | None = None
    """By whose they are: the hashes of the file and of each tensor."""
    runtimes: tuple[Certificate, ...] = ()
    command: str
    started: str | None = None
    wall_s: float | None = None

    def of(self, status: Status) -> tuple[Rung, ...]:
        """Return the rungs of a status, from the lowest up."""
        return tuple(sorted((r for r in self.rungs if r.status == status), key=lambda r: r.number))


def read(folder: Path) -> Parity | None:
    """Return the parity.json of a run, or of the folder of a climb without one; None where there is none.

    Raises UserError where it is none that this version knows.
    """
    path = folder / "parity.json"
    if not path.exists():
        return None
    found = read_json(path, "a certificate that 'twinpose parity' wrote")
    results_.require_known(path, found, SCHEMA)
    try:
        return msgspec.convert(found, Parity)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} is no certificate of schema {SCHEMA} ({error}); "
            f"climb again with 'twinpose parity {shlex.quote(str(folder))}'"
        ) from error


def failed(parity: Parity) -> str | None:
    """Return which check failed a ladder first; None where all that was climbed passed."""
    first = parity.first_failure
    if first is None:
        return "the parity ladder failed" if parity.status == "fail" else None
    at = f" at {first.where}" if first.where else ""
    return f"rung {first.rung} ({first.name}) failed: {first.check}{at}"


def untrained(axes: Cell) -> str | None:
    """Return why no ladder certifies a `train` cell of a lower precision; None for any other cell."""
    unproven = SCENARIOS[axes.scenario].unproven
    return unproven.format(axes.precision) if unproven and axes.precision != "fp32" else None


def lacks(parity: Parity, numbers: Iterable[int]) -> str | None:
    """Return which of the rungs has not passed first, and why; None where all have."""
    rungs = {rung.number: rung for rung in parity.rungs}
    for number in sorted(numbers):
        rung = rungs.get(number, Rung(number, "unknown here", "not climbed"))
        if rung.status != "pass":
            why = f": {rung.reason}" if rung.reason else ""
            return f"rung {number} ({rung.name}) is {rung.status}{why}"
    return None


def refused(found: Certificate, axes: Cell, artifact_sha256: str | None) -> str | None:
    """Return why a certificate that covers a cell's axes does not certify an artifact; None where it does."""
    if found.artifact_sha256 != artifact_sha256:
        return "its artifact is not the one that was certified"
    # A loader rests on rung 1 alone.
    if SCENARIOS[axes.scenario].runs_network and found.status not in CERTIFIED:
        return f"rung 7 (Deployment): {found.status}: {found.reason or 'no reason recorded'}"
    return None


SILENT = "the certificate says nothing of this runtime, mode, precision and device"


def doubt(
    parity: Parity | None, axes: Cell, artifact_sha256: str | None, certificate_id: str | None
) -> str | None:
    """Return why a timing is uncertified by the certificate that it carries; None where it is certified.

    It is certified when the gate would let it be timed now. Which versions are installed here says
    nothing of a run that may have been made elsewhere.
    """
    if certificate_id is None:
        return "timed without a certificate (--uncertified)"
    if parity is None:
        return "its certificate is not in the run: there is no parity.json"
    barred = untrained(axes) or failed(parity) or lacks(parity, SCENARIOS[axes.scenario].rungs)
    return barred or _uncovered(parity, axes, artifact_sha256, certificate_id)


def _uncovered(parity: Parity, axes: Cell, artifact_sha256: str | None, certificate_id: str) -> str | None:
    """Return why no certificate of a ladder that passed is the cell's."""
    covering = [one for one in parity.runtimes if one.covers(axes)]
    # Of those of one environment the first speaks, as it does at the gate; the cell says which it carries.
    firsts = list({one.place: one for one in reversed(covering)}.values())[::-1]
    found = next((one for one in firsts if one.id == certificate_id), next(iter(firsts), None))
    if found is None:
        return SILENT
    if barred := refused(found, axes, artifact_sha256):
        return barred
    if found.id != certificate_id:
        return "the ladder was climbed anew since it was timed; 'twinpose bench' gives it the new certificate"
    return None


def needs(axes: Cell) -> bool:
    """Return whether a cell's timing is of a network, which a certificate must cover."""
    return bool(SCENARIOS[axes.scenario].rungs)


def doubts(parity: Parity | None, results: Iterable[CellResult]) -> dict[str, str]:
    """Return by ID why a cell was timed and is uncertified, of those that are."""
    found = {
        one.id: doubt(parity, one.axes, one.artifact_sha256, one.certificate_id)
        for one in results
        if one.status == "ok" and needs(one.axes)
    }
    return {name: why for name, why in found.items() if why}


def packages_of(runtime: str, twin: str) -> tuple[str, ...]:
    """Return the packages that have a part in an arm: its runtime's and the twin's own framework's."""
    return tuple(dict.fromkeys((*RUNTIMES[runtime].packages, *RUNTIMES[twin].packages)))


LEAST_AP = 0.2
"""Of a source: below, AP moves with a handful of predictions and says nothing about a runtime."""


def says_nothing(ap: float, dap: float) -> bool:
    """Return whether the source's AP, which is `ap` less `dap`, is too low for AP to say anything."""
    # A last bit that the subtraction rounds does not decide.
    return round(ap - dap, 9) < LEAST_AP
