"""Over a run folder: a fresh process for each cell, a row for whatever became of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell
from bench.cells.matrix import Place
from bench.cells.runtimes import RUNNERS
from bench.mlperf.options import CLAIM, DRIVEN, Options
from bench.parity import gate as gate_
from bench.process import launch
from bench.process.launch import OnEvent
from bench.rounds.start_round import asked, start
from bench.rounds.why_absent import missing, recorded
from bench.run import artifacts, cell_key, journal
from bench.run import folder as folder_
from bench.run.folder import RunFolder
from pose.errors import UserError
from pose.files import read_json, write_json

SCHEMA = 1
DURATIONS = 4.0
"""Minimum durations that a cell's time-out grants beside its own seconds: two scenarios, twice as long."""


def folder(run: Path) -> Path:
    """Return the folder of a run's rows (ID.json) and of LoadGen's logs (ID/SCENARIO/)."""
    return run / "bench" / "mlperf"


def run(
    path: Path,
    cells: Sequence[Cell],
    options: Options | None = None,
    *,
    timeout_s: float = 600.0,
    uncertified: bool = False,
    on_event: OnEvent | None = None,
    runners: Mapping[str, str] = RUNNERS,
    places: Mapping[str, Place] | None = None,
    env: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Drive the latency and throughput cells one after another; return their rows, as stored.

    A row that is stored as ok with the same hash is kept. A cell that the parity ladder has not
    certified becomes a row with the reason, unless `uncertified`; UserError when certified weights were
    altered, and when no cell has a scenario of MLPerf's. on_event(name, fields) hears "cell_started"
    (id, number, count), the child's "phase" and "cell_finished" (id, number, count, status, reason,
    skipped). timeout_s is a cell's, besides the minimum durations that it is asked to measure.
    """
    chosen = [cell for cell in cells if cell.scenario in DRIVEN and not cell.replica]
    if not chosen:
        raise UserError(f"LoadGen drives none of these cells; expected one of: {', '.join(DRIVEN)}")
    tell = on_event or (lambda name, fields: None)
    opened = folder_.opened(Path(path))
    gate = gate_.of_run(opened.path, places)
    if not uncertified:
        gate.require_unaltered()
    child = _LoadGenChild(opened, options or Options(), timeout_s, dict(env or {}), dict(places or {}))
    decided = cell_key.decided_by_run(opened)
    del decided["training"], decided["recipe"]["evaluation"]  # LoadGen neither trains nor scores
    rows = []
    for number, cell in enumerate(chosen, 1):
        place = {"id": cell.id, "number": number, "count": len(chosen)}
        artifact = artifacts.artifact_sha256(artifacts.artifact(opened.path, cell))
        granted, _ = gate.certificate(cell, artifact)
        known = {
            "hash": child.hash_of(cell, artifact, runners[cell.runtime], decided),
            "artifact_sha256": artifact,
            "split_sha256": decided["split"],
            "certificate_id": granted,
        }
        row = _finished(opened.path, cell, known)
        skipped = row is not None
        if row is None:
            tell("cell_started", place)
            bars = None if uncertified else gate.bars(cell, artifact)
            outcome = launch.Outcome(*bars, None, 0.0) if bars else None
            row = child.measure(cell, runners[cell.runtime], known, outcome, tell)
        tell("cell_finished", {**place, "status": row["status"], "reason": row["reason"], "skipped": skipped})
        rows.append(row)
    return rows


def _finished(path: Path, cell: Cell, known: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored row if it is whole and up to date, with the certificate that the cell has now."""
    file = folder(path) / f"{cell.id}.json"
    try:
        row = read_json(file, "a row")
    except UserError:  # absent, or damaged: measuring again makes it whole
        return None
    if not isinstance(row, dict) or (row.get("status"), row.get("hash")) != ("ok", known["hash"]):
        return None
    granted = known["certificate_id"]
    if row["certificate_id"] != granted:
        row |= {"certificate_id": granted}
        write_json(file, row)
    return row


@dataclass(frozen=True)
class _LoadGenChild:
    """What every cell's process is started with."""

    run: RunFolder
    options: Options
    timeout_s: float
    env: dict[str, str]
    places: dict[str, Place]

    def hash_of(self, cell: Cell, artifact: str | None, runner: str, decided: dict[str, Any]) -> str:
        """Return a hash over all that decides a row, except the machine."""
        further = {"schema": SCHEMA, "runner": runner, "options": self.options.model_dump(), "run": decided}
        return cell_key.hash_of(cell, artifact, self.places.get(cell.runtime), further)

    def measure(
        self, cell: Cell, runner: str, known: dict[str, Any], outcome: launch.Outcome | None, tell: OnEvent
    ) -> dict[str, Any]:
        """Run the cell's child, unless its outcome is known; store and return the row."""
        logs = folder(self.run.path) / cell.id
        shutil.rmtree(logs, ignore_errors=True)
        started = journal.now()
        if outcome is None and known["artifact_sha256"] is None:
            outcome = missing(self.run, cell)
        outcome = recorded(self.run, outcome or self._call(cell, runner, logs, tell))
        value = outcome.value or {}
        row = {
            "schema": SCHEMA,
            "id": cell.id,
            "status": outcome.status,
            "reason": outcome.reason,
            "claim": CLAIM,
            "axes": asdict(cell),
            **known,
            "options": self.options.model_dump(),
            "started": started,
            "wall_s": outcome.wall_s,
            "scenarios": value.get("scenarios", []),
            "effective": value.get("effective", {}),
            "phases_s": value.get("phases_s", {}),
            "peak_rss_bytes": value.get("peak_rss_bytes"),
            "logs": str(logs.relative_to(self.run.path)),
            "command": self._command(cell),
        }
        write_json(folder(self.run.path) / f"{cell.id}.json", row)
        return row

    def _command(self, cell: Cell) -> str:
        given = self.options.model_dump(exclude_defaults=True)
        options = "".join(f" --mlperf {name}={value}" for name, value in given.items())
        return f"twinpose bench {self.run.quoted} --protocol mlperf -k {cell.id}{options}"

    def _call(self, cell: Cell, runner: str, logs: Path, tell: OnEvent) -> launch.Outcome:
        logs.mkdir(parents=True)
        given = {"options": self.options.model_dump(), "logs": logs.resolve()}
        return start(
            "bench.mlperf:cell",
            asked(self.run, cell, runner) | given,
            logs / "child",
            cell,
            self.places.get(cell.runtime),
            timeout_s=self.timeout_s + DURATIONS * self.options.min_duration_s,
            env=self.env,
            tell=tell,
        )
