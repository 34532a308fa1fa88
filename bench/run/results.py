"""Measured cells on disk: bench/cells/ID.json, raw samples beside them in ID/round_0001.npz.

A try that does not count has its durations in ID/round_0001_try_2.npz ("window_ns"): kept, not pooled.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from bench.cells.cell import Cell
from bench.machine.disturbance import Disturbance
from bench.statistics.samples import geometric_mean
from bench.statistics.validity import Validity
from pose.errors import UserError
from pose.files import converted, read_bytes, read_json, write_json

T = TypeVar("T")

SCHEMA = 2
"""Of what a bench writes: 2 since a cell has rounds of several processes, each with its own figures."""
RUN_SCHEMA = 1
"""Of run.json."""

ENOUGH = 4
"""Undisturbed rounds of a cell, or passes of a pair, beside which disturbed ones do not count."""


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """A window of a round that was measured and does not count: it was disturbed."""

    number: int
    """1 is the first window of the round's process."""
    median_ms: float
    """Of a query, block, batch or step."""
    count: int
    """Of the same."""
    waited_s: float = 0.0
    """For quiet, before it."""
    measured_s: float
    disturbances: list[Disturbance]
    conditions: dict[str, Any] = {}


class Round(msgspec.Struct, frozen=True, rename={"pass_": "pass"}):
    """One fresh process that measured the cell once."""

    phases_s: dict[str, float | None]
    """import, load, compile, first, warmup, measured; null where one is absent or cannot be told apart."""
    count: int
    """Queries (latency), batches (throughput) or instances (accuracy) in the measured phase."""
    wall_s: float
    started: str
    """ISO 8601, UTC."""
    number: int = 1
    pass_: str = ""
    """The sweep over the lane that it was part of: rounds of one pass are pairs."""
    value: float | None = None
    """Its one figure: median ms of a query, or images, samples or steps a second."""
    stats: dict[str, Any] = {}
    validity: Validity = Validity()
    conditions: dict[str, Any] = {}
    """Of the machine, before and after the measured phase, and how many cores were used."""
    peak_rss_bytes: int | None = None
    """Resident, of its process. Summed over several in an older version's loader, and where `pss_null` of the
    conditions says why."""
    peak_pss_bytes: int | None = None
    """Proportional, of a loader's several processes together; None where there is one, or it is not told."""
    peak_device_bytes: int | None = None
    energy_j: float | None = None
    """Of the GPU in the measured phase, idle subtracted; null where no counter is read."""
    try_number: int = 1
    """Which of its tries counts: the first undisturbed one, or the least disturbed."""
    disturbances: list[Disturbance] = []
    """What others did to the try that counts; an older version has doubts alone."""
    waited_s: float = 0.0
    """For quiet, before the try that counts."""
    other_tries: list[Try] = []
    repeats_s: float = 0.0
    """Of wall_s, what all waits for quiet took, and the tries after the first."""
    lacked: str | None = None
    """What left no room for another try: `budget` (what the bench spends on repeats) or `time limit`."""

    @property
    def tries(self) -> int:
        """Return how many times it was measured."""
        return 1 + len(self.other_tries)

    @property
    def peak_memory_bytes(self) -> int | None:
        """Return what it held at most: of several processes together proportional, else resident."""
        return self.peak_rss_bytes if self.peak_pss_bytes is None else self.peak_pss_bytes


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one cell of a run."""

    schema: int = SCHEMA
    id: str
    status: str
    """`ok`, `failed`, `timeout`, `oom`, `unsupported` or `uncertified`."""
    reason: str | None
    axes: Cell
    effective: dict[str, Any] = {}
    """What the runtime said it does, read back."""
    hash: str
    """Over everything that decides the result; rounds are kept while it is the same."""
    artifact_sha256: str | None
    split_sha256: str
    rounds_wanted: int = 1
    first_look: int | None = None
    """The rounds at which the stopping rule of its protocol first looked; None for a fixed number."""
    protocol: dict[str, Any] = {}
    """The fields of `Protocol` by which its last round was measured; {} of an older version."""
    rounds: list[Round] = []
    stats: dict[str, Any] = {}
    """Over all rounds that count: "value", the geometric mean of theirs, is what is printed and compared."""
    validity: Validity = Validity()
    certificate_id: str | None = None
    command: str
    """The command that measures this cell again."""

    @property
    def counting(self) -> list[Round]:
        """Return the rounds that its figures are of: the undisturbed ones where they are enough, else all."""
        return counting(self.rounds)


def counting(rounds: list[Round]) -> list[Round]:
    """Return which of a cell's rounds count: whether others disturbed one is told by its conditions alone."""
    return undisturbed_or_all(rounds, lambda one: bool(one.disturbances))


def undisturbed_or_all(measured: list[T], is_disturbed: Callable[[T], bool]) -> list[T]:
    """Return the rounds or passes that nobody disturbed where they are enough, else all."""
    quiet = [one for one in measured if not is_disturbed(one)]
    return quiet if len(quiet) >= ENOUGH else measured


def folder(run: Path) -> Path:
    """Return the folder of a run's cells."""
    return Path(run) / "bench" / "cells"


def save(run: Path, result: CellResult) -> Path:
    """Write a cell, whole or not at all; return the JSON's path."""
    path = path_of(run, result.id)
    write_json(path, msgspec.to_builtins(result))
    return path


def path_of(run: Path, cell_id: str) -> Path:
    """Return the JSON file of a cell."""
    return folder(run) / f"{cell_id}.json"


def samples_path(run: Path, cell_id: str, number: int) -> Path:
    """Return the file of a round's raw samples, beside the cell's JSON."""
    return folder(run) / cell_id / f"round_{number:04d}.npz"


def forget(run: Path, cell_id: str) -> None:
    """Remove a cell and its samples, whatever measured them."""
    path_of(run, cell_id).unlink(missing_ok=True)
    shutil.rmtree(folder(run) / cell_id, ignore_errors=True)


class Damaged(UserError):
    """A file of a bench holds something that no release wrote."""


_CELL = msgspec.json.Decoder(CellResult)
"""Straight from bytes to the struct: a run may hold 10,000 of them."""


def read(path: Path) -> CellResult:
    """Return the cell in a JSON file; Damaged when it is malformed, UserError when it is too new."""
    expected = "a cell that 'twinpose bench' wrote; it measures a damaged one again"
    try:
        result = _CELL.decode(read_bytes(path, expected))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            raw = read_json(path, expected)
        except UserError as no_json:
            raise Damaged(str(no_json)) from error
        require_known(path, raw)  # what is newer may be shaped otherwise
        raise Damaged(
            f"{path} is no cell of a bench ({error}); measure it again with 'twinpose bench'"
        ) from error
    require_known(path, {"schema": result.schema})
    _with_one_figure(result)
    return result


def _with_one_figure(result: CellResult) -> None:
    """Make the median of a cell that was just read its one figure, the geometric mean of the rounds' medians.

    Older versions stored the median of all rounds' queries: another number than was compared.
    """
    for name, shown in result.stats.items():
        if isinstance(shown, dict) and "p50" in shown:
            medians = [one.stats.get(name, {}).get("p50") for one in result.counting]
            if name == "latency_ms" and not all(medians):
                medians = [one.value for one in result.counting]
            if medians and all(medians):
                shown["p50"] = geometric_mean(medians)


def require_known(path: Path, raw: Any, newest: int = SCHEMA) -> None:
    """Raise UserError where the JSON of a run's file has a schema above `newest`, Damaged where one below."""
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and schema < newest:
        raise Damaged(
            f"{path} has schema {schema}, which no release wrote; expected {newest}; measure it in a new run"
        )
    if isinstance(schema, int) and schema > newest:
        raise UserError(
            f"{path} has schema {schema}, this twinpose reads up to {newest}; expected an older run, "
            "or upgrade twinpose"
        )


def read_record(path: Path, kind: type[T], expected: str) -> T:
    """Return the record in a JSON file of a bench; UserError when it is malformed or newer than this version.

    kind: what msgspec converts to; expected: the kind of file, in words.
    """
    raw = read_json(path, expected)
    require_known(path, raw)
    return converted(path, raw, kind, expected)


def cells(run: Path, damaged: Collection[str] = ()) -> list[CellResult]:
    """Return all cells of a run by ID; [] before its first bench.

    A file of another name than its cell's is a copy that somebody's synchronisation made, and no cell.
    damaged: IDs of cells that are left out where their files are damaged.
    """
    # A hidden file is what a killed process was still writing.
    paths = [path for path in folder(run).glob("*.json") if not path.name.startswith(".")]
    found = []
    with _collector_paused():
        for path in sorted(paths):
            try:
                one = read(path)
            except Damaged:
                if path.stem not in damaged:
                    raise
                continue
            if one.id == path.stem:
                found.append(one)
    return found


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python from looking for cycles among the cells again and again: half the time of 10,000."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def round_samples(run: Path, cell_id: str, number: int) -> dict[str, np.ndarray]:
    """Return a round's raw samples by name (latency_ns (n,) or block_ns (m,), int64); {} without any."""
    return load_samples(samples_path(run, cell_id, number))


def samples(run: Path, result: CellResult) -> dict[str, np.ndarray]:
    """Return a cell's raw samples by name, those of all its rounds one after another; {} without any."""
    return joined(samples_by_round(run, result))


def samples_by_round(run: Path, result: CellResult) -> list[dict[str, np.ndarray]]:
    """Return the raw samples of each of a cell's rounds, by name."""
    return [round_samples(run, result.id, one.number) for one in result.rounds]


def joined(by_round: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the raw samples of several rounds by name, one round's after another's."""
    names = dict.fromkeys(name for found in by_round for name in found)
    return {name: np.concatenate([found[name] for found in by_round if name in found]) for name in names}


def load_samples(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name; {} when it is absent."""
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        return dict(arrays)
