"""Runs the cells of a matrix over a run folder: a fresh process for each, a row for whatever became of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import certificate, launch, machine, rundir, selection, store
from bench.contract import RUNNERS, Cell, RunnerSpec
from bench.matrix import Matrix
from bench.rundir import RunFolder
from bench.store import CellResult, Round
from pose import splits
from pose.errors import UserError
from pose.files import read_json, sha256_of_bytes, sha256_of_file, write_json

OnEvent = Callable[[str, dict[str, Any]], None]

MEMORY_SHARE = 0.9
"""Of the memory that processes here may hold; a cell above it is ended before the kernel picks a victim."""


def cell_hash(cell: Cell, matrix: Matrix, artifact_hash: str | None, rest: dict[str, Any]) -> str:
    """Return a hash over all that decides a cell's result, except the machine; `rest` is the run's part."""
    decides = {
        "schema": store.SCHEMA,
        "axes": asdict(cell),
        "artifact": artifact_hash,
        "protocol": matrix.protocol.model_dump(exclude={"timeout_s"}),
        "interpreter": matrix.interpreters.get(cell.runtime),
        "run": rest,
    }
    return sha256_of_bytes(json.dumps(decides, sort_keys=True).encode())


def _decided_by_run(run: RunFolder) -> dict[str, Any]:
    boxes = run.settings.boxes
    return {
        "split": splits.read(run.split_file).sha256,
        "boxes": sha256_of_file(boxes) if boxes else None,
        "recipe": run.recipe.model_dump(mode="json", include={"model", "data", "evaluation"}),
    }


def run(
    path: Path,
    matrix: Matrix,
    *,
    only: str | None = None,
    timeout_s: float | None = None,
    uncertified: bool = False,
    on_event: OnEvent | None = None,
    runners: Mapping[str, str] = RUNNERS,
    env: Mapping[str, str] | None = None,
) -> list[CellResult]:
    """Measure the matrix's cells that `only` (-k) selects, one after another; return them all, as stored.

    A cell that is stored as ok with the same hash is not measured again. One that would be timed
    and that the parity ladder has not certified becomes a row with the reason, unless `uncertified`;
    UserError when certified weights were altered. on_event(name, fields)
    hears "cell_started" (id, number, count), the child's "phase" (id, phase, s) and "cell_finished"
    (id, number, count, status, reason, skipped). runners maps a runtime to "module:class"; env is
    laid over every child's environment.
    """
    tell = on_event or (lambda name, fields: None)
    opened = rundir.opened(Path(path))
    chosen = selection.select(matrix.cells, only)
    decided = _decided_by_run(opened)
    limit_s = matrix.protocol.timeout_s if timeout_s is None else timeout_s
    gate = certificate.of_run(opened.path)
    if not uncertified:
        gate.require_unaltered()
    _write_bench(opened.path, matrix)
    results = []
    for number, cell in enumerate(chosen, 1):
        place = {"id": cell.id, "number": number, "count": len(chosen)}
        found = store.artifact_sha256(store.artifact(opened.path, cell))
        key = cell_hash(cell, matrix, found, decided)
        granted, refused = gate.certificate(cell, found)
        result = _finished(opened.path, cell, key, granted)
        skipped = result is not None
        if result is None:
            tell("cell_started", place)
            child = _Child(cell, opened, matrix, limit_s, runners[cell.runtime], dict(env or {}), granted)
            timed = cell.scenario != "accuracy"
            barred = refused if timed and found and not uncertified else None
            result = child.measure(key, found, decided["split"], tell, barred)
        tell("cell_finished", {**place, "status": result.status, "reason": result.reason, "skipped": skipped})
        results.append(result)
    return results


def _write_bench(path: Path, matrix: Matrix) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"matrix": matrix.to_dict(), "machine": machine.fingerprint(), "started": started}
    write_json(path / "bench" / "bench.json", {"schema": store.SCHEMA, **facts})


def _finished(path: Path, cell: Cell, key: str, granted: str | None) -> CellResult | None:
    """Return the stored cell if it is whole and up to date, with the certificate that it has now."""
    try:
        result = store.read(store.folder(path) / f"{cell.id}.json")
    except UserError:  # absent, or damaged: measuring it again makes it whole
        return None
    if result.status != "ok" or result.hash != key:
        return None
    if granted and result.certificate_id != granted:
        result = msgspec.structs.replace(result, certificate_id=granted)
        store.save(path, result, store.samples(path, cell.id))
    return result


def _attempts(run: RunFolder, cell: Cell) -> list[dict[str, Any]]:
    """Return what the run recorded of the steps towards a cell's artifact, the first step first."""
    stages = run.facts()["stages"]
    found = [stages.get(f"train {cell.twin}", {})]
    if cell.runtime in {"tf", "torch"}:
        return found
    conversion = run.artifact_folder(cell.twin) / "conversion.json"
    routes = read_json(conversion, "a conversion's record")["routes"] if conversion.exists() else []
    name = store.artifact(run.path, cell).name
    return [*found, stages.get(f"convert {cell.twin}", {}), *(r for r in routes if r.get("file") == name)]


@dataclass(frozen=True)
class _Child:
    """One cell about to be measured in a process of its own."""

    cell: Cell
    run: RunFolder
    matrix: Matrix
    timeout_s: float
    runner: str
    env: dict[str, str]
    certificate_id: str | None = None

    @property
    def folder(self) -> Path:
        return self.run.path / "bench" / "children" / self.cell.id

    def measure(
        self, key: str, artifact_hash: str | None, split_hash: str, tell: OnEvent, barred: str | None
    ) -> CellResult:
        """Run the child, unless it is barred for the given reason, and store what became of it."""
        samples = self.folder / "samples.npz"
        samples.unlink(missing_ok=True)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        if barred:
            outcome = launch.Outcome("uncertified", barred, None, 0.0)
        else:
            outcome = self._missing() if artifact_hash is None else self._call(tell)
        value = outcome.value or {}
        result = CellResult(
            id=self.cell.id,
            status="failed" if outcome.status == "user_error" else outcome.status,
            reason=self._relative(outcome.reason),
            axes=self.cell,
            effective=value.get("effective", {}),
            hash=key,
            artifact_sha256=artifact_hash,
            split_sha256=split_hash,
            rounds=[Round(value["phases_s"], value["count"], outcome.wall_s, started)] if value else [],
            stats=value.get("stats", {}),
            validity=store.Validity(**value["validity"]) if value else store.Validity(),
            certificate_id=self.certificate_id,
            command=f"twinpose bench {shlex.quote(str(self.run.path))} -k {self.cell.id}",
        )
        store.save(self.run.path, result, store.load_samples(samples) if value else {})
        samples.unlink(missing_ok=True)
        return result

    def _missing(self) -> launch.Outcome:
        """Return what kept the artifact from being made, as the run recorded it."""
        missing = store.artifact(self.run.path, self.cell).relative_to(self.run.path)
        maker = "train" if self.cell.runtime in {"tf", "torch"} else "convert"
        reason = f"the run has no {missing}; 'twinpose {maker} {self.run.path}' makes it"
        for record in _attempts(self.run, self.cell):
            if record.get("status") in {"unsupported", "failed"}:
                return launch.Outcome(record["status"], record.get("reason") or reason, None, 0.0)
        return launch.Outcome("failed", reason, None, 0.0)

    def _relative(self, reason: str | None) -> str | None:
        """Return the reason with paths told from the run's folder: a run may be moved."""
        return reason.replace(f"{self.run.path.resolve()}/", "") if reason else None

    def _call(self, tell: OnEvent) -> launch.Outcome:
        cell = self.cell
        waits = launch.PASSIVE if cell.scenario == "accuracy" else {}
        return launch.call(
            "bench.measure:cell",
            self._payload(),
            self.folder,
            timeout_s=self.timeout_s,
            env=launch.thread_environment(cell.threads, cell.allocator, cell.device) | waits | self.env,
            interpreter=self.matrix.interpreters.get(cell.runtime),
            memory_limit_bytes=int(machine.memory_limit_bytes() * MEMORY_SHARE),
            on_event=lambda name, fields: tell(name, {"id": cell.id, **fields}),
        )

    def _payload(self) -> dict[str, Any]:
        cell, settings = self.cell, self.run.settings
        spec = RunnerSpec(
            recipe=self.run.recipe.model_dump(mode="json"),
            artifact=str(store.artifact(self.run.path, cell).resolve()),
            mode=cell.mode,
            precision=cell.precision,
            device=cell.device,
            threads=cell.threads,
            batch=cell.batch,
            scenario=cell.scenario,
        )
        return {
            "runner": self.runner,
            "spec": asdict(spec),
            "protocol": self.matrix.protocol.model_dump(),
            "coco": settings.coco.resolve(),
            "split_file": self.run.split_file.resolve(),
            "boxes": settings.boxes.resolve() if settings.boxes else None,
            "samples": (self.folder / "samples.npz").resolve(),
        }
