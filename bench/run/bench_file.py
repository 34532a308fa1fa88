"""bench.json: what the benches of a run noted beside its cells."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec

from bench.run import journal, results
from pose.errors import UserError
from pose.files import read_json, write_json


class SessionRecord(msgspec.Struct, frozen=True):
    """One bench process over a run."""

    id: str
    seed: int | None = None
    """From which the orders of its passes are drawn."""
    command: str | None = None
    asks: tuple[str, ...] = ()
    """What `twinpose bench RUN` is given to measure the same cells on; an older version noted none."""
    started: str | None = None
    """ISO 8601, UTC."""
    ended: str | None = None
    """None while it runs, and where it was killed."""


class BenchedMatrix(msgspec.Struct, frozen=True, omit_defaults=True):
    """The matrix that was last asked for."""

    name: str = ""
    protocol: dict[str, Any] = {}
    """The fields of `Protocol`; an older version knew fewer."""
    altered: dict[str, Any] = {}
    """What the profile has instead, by field that the matrix alters."""
    cells: list[str] = []
    """IDs."""


class NullCost(msgspec.Struct, frozen=True):
    """What a query (latency) and a block (throughput) cost with a runner that computes nothing."""

    threads: int
    latency_us: dict[str, float]
    """By percentile: p50 and p99."""
    throughput_us: dict[str, float]
    n: int
    """Blocks of the throughput."""


class KernelRate(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one kernel of a library ran."""

    precision: str
    threads: int
    gflops: float
    kernel: str
    library: str


class Peak(KernelRate, frozen=True, kw_only=True):
    """The fastest kernel of a precision and a thread count: the machine's ceiling."""

    measured: str | None = None
    """ISO 8601, UTC."""
    doubts: list[str] = []
    """What disturbed the measurement: the machine can do more than it says."""


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """What a device can do, as `bench.ceilings.peak.measure` found."""

    device: str = "cpu"
    peaks: list[Peak]
    kernels: list[KernelRate] = []
    bandwidth_gb_s: dict[str, float] = {}
    """Of the host's memory, by threads."""
    reasons: dict[str, str] = {}
    """By library, or library and precision: why it is absent."""
    doubts: list[str] = []


class NoiseLook(msgspec.Struct, frozen=True, kw_only=True):
    """An A/A pair of a run, as it was when it was last measured anew."""

    a: str = ""
    b: str = ""
    """Cell IDs: the second arm and the first."""
    n: int = 0
    """Pairs of rounds."""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    """95 %, of the ratio; None where the bench could not tell."""
    reason: str | None = None
    """Why there is no interval, or what is doubtful about either arm."""
    within: float | None = None
    """How far from 1 its profile lets the interval reach; None where an older version asked nothing."""
    began: str | None = None
    """The pass of the second arm's first round."""
    session: str | None = msgspec.field(default=None, name="sitting")
    """The ID of the bench that measured it."""

    @property
    def resolution(self) -> float | None:
        """Return how far the interval reaches from 1, as a fraction, either way; None without one."""
        if self.interval is None:
            return None
        low, high = self.interval
        return max(high, 1 / max(low, 1e-9)) - 1


class NoiseFloor(msgspec.Struct, frozen=True):
    """What the A/A pairs of a run say of it."""

    history: list[NoiseLook] = []
    """The pair measured last at the end."""
    verdict: str | None = None
    """VALID, FLAGGED or INVALID; None where no bench of the run could tell."""
    reasons: list[str] = []
    resolution: float | None = None
    """The smallest difference that the run can tell from none, as a fraction: the farthest that a pair's
    last interval reaches from 1. None where no pair has one."""


CEILINGS = {"cpu": "limits", "cuda": "limits_cuda"}
"""By device: the field of `BenchFile` that has its ceilings."""


class BenchFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """bench.json; what no bench of the run has noted is absent from it."""

    schema: int = 1
    """What a file that says none is taken for."""
    sessions: list[SessionRecord] = msgspec.field(default_factory=list, name="sittings")
    started: str | None = None
    """When the last session was."""
    profiles: dict[str, str] = {}
    """By the matrix's name, the profile that was last asked for instead of its own; "" for its own."""
    matrix: BenchedMatrix = BenchedMatrix()
    machine: dict[str, Any] = {}
    """`bench.machine.fingerprint`'s."""
    null: NullCost | None = None
    limits: Ceilings | None = None
    """Of the CPU."""
    limits_cuda: Ceilings | None = None
    noise: NoiseFloor = NoiseFloor()

    def ceilings(self, device: str) -> Ceilings | None:
        """Return what a device can do; None where no bench of the run measured it."""
        found: Ceilings | None = getattr(self, CEILINGS[device], None) if device in CEILINGS else None
        return found

    def with_ceilings(self, device: str, found: Ceilings) -> BenchFile:
        """Return the record with what a device can do."""
        return msgspec.structs.replace(self, **{CEILINGS[device]: found})

    @property
    def profiles_asked(self) -> dict[str, str]:
        """Return the profile that was last asked for instead of a matrix's own, by the matrix's name."""
        return {name: profile for name, profile in self.profiles.items() if profile}

    def begun(self, session: SessionRecord, **fields: Any) -> BenchFile:
        """Return the record with a session that begins, and other fields."""
        return msgspec.structs.replace(
            self, sessions=[*self.sessions, session], started=session.started, **fields
        )

    def ended(self, session_id: str, **fields: Any) -> BenchFile:
        """Return the record with a session that has come to its end, and other fields."""
        sessions = [
            msgspec.structs.replace(one, ended=journal.now()) if one.id == session_id else one
            for one in self.sessions
        ]
        return msgspec.structs.replace(self, sessions=sessions, **fields)


def read(run: Path) -> BenchFile | None:
    """Return bench.json of a run; None before its first bench, UserError for one that is damaged or newer."""
    path = _path(run)
    if not path.exists():
        return None
    raw = read_json(path, "what 'twinpose bench' wrote")
    results.require_known(path, raw)
    if isinstance(raw, dict):  # a part that no longer held was once emptied instead of left out
        raw = {name: part for name, part in raw.items() if part != {}}
    try:
        return msgspec.convert(raw, BenchFile)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not as it was written ({error}); bench again without it") from error


def required(run: Path) -> BenchFile:
    """Return bench.json of a run; UserError before its first bench too."""
    found = read(run)
    if found is None:
        made_by = f"'twinpose bench {shlex.quote(str(run))}' makes one"
        raise UserError(f"no {_path(run)}; expected a run folder with a bench; {made_by}")
    return found


def write(run: Path, record: BenchFile) -> BenchFile:
    """Write bench.json, whole or not at all; return what was written."""
    record = msgspec.structs.replace(record, schema=results.SCHEMA)
    write_json(_path(run), msgspec.to_builtins(record))
    return record


def _path(run: Path) -> Path:
    return Path(run) / "bench" / "bench.json"
