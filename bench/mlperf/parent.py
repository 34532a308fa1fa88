"""Over a run folder: a fresh process for each cell, a row for whatever became of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell
from bench.cells.matrix import Place
from bench.cells.runtimes import RUNNERS
from bench.mlperf.options import CLAIM, DRIVEN, Options
from bench.parity import gate as gate_
from bench.process import environment, launch
from bench.process.launch import OnEvent
from bench.rounds.start_round import asked, memory_limit_bytes
from bench.rounds.why_absent import missing, relative
from bench.run import artifacts, cell_key
from bench.run import folder as folder_
from bench.run.folder import RunFolder
from pose import splits
from pose.errors import UserError
from pose.files import read_json, sha256_of_bytes, sha256_of_file, write_json

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
    decided = _decided_by_run(opened)
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


def _decided_by_run(run: RunFolder) -> dict[str, Any]:
    boxes = run.settings.boxes
    return {
        "split": splits.read(run.split_file).sha256,
        "boxes": sha256_of_file(boxes) if boxes else None,
        "recipe": run.recipe.model_dump(mode="json", include={"model", "data"}),
    }


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
        place = self.places.get(cell.runtime)
        decides = {
            "schema": SCHEMA,
            "axes": asdict(cell),
            "artifact": artifact,
            "runner": runner,
            "options": self.options.model_dump(),
            "place": place.model_dump() if place else None,
            "versions": cell_key.versions(cell.runtime, place),
            "run": decided,
        }
        return sha256_of_bytes(json.dumps(decides, sort_keys=True).encode())

    def measure(
        self,
        cell: Cell,
        runner: str,
        known: dict[str, Any],
        outcome: launch.Outcome | None,
        tell: OnEvent,
    ) -> dict[str, Any]:
        """Run the cell's child, unless its outcome is known; store and return the row."""
        logs = folder(self.run.path) / cell.id
        shutil.rmtree(logs, ignore_errors=True)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        if outcome is None and known["artifact_sha256"] is None:
            outcome = missing(self.run, cell)
        outcome = outcome or self._call(cell, runner, logs, tell)
        value = outcome.value or {}
        row = {
            "schema": SCHEMA,
            "id": cell.id,
            "status": "failed" if outcome.status == "user_error" else outcome.status,
            "reason": relative(self.run, outcome.reason),
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
        place = self.places.get(cell.runtime, Place())
        pools = environment.thread_environment(cell.threads, cell.allocator, cell.device)
        return launch.call(
            "bench.mlperf:cell",
            {
                **asked(self.run, cell, runner),
                "options": self.options.model_dump(),
                "logs": logs.resolve(),
            },
            logs / "child",
            timeout_s=self.timeout_s + DURATIONS * self.options.min_duration_s,
            env=pools | place.env | self.env,
            interpreter=place.python,
            working_folder=Path(place.folder) if place.folder else None,
            memory_limit_bytes=memory_limit_bytes(),
            on_event=lambda name, fields: tell(name, {"id": cell.id, **fields}),
        )
