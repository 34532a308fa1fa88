"""Why a cell's artifact is not there, as the run recorded it."""

from __future__ import annotations

from typing import Any

from bench.artifacts import convert
from bench.cells.cell import Cell
from bench.cells.runtimes import artifact_of
from bench.process import launch
from bench.run import artifacts
from bench.run.folder import RunFolder


def relative(run: RunFolder, reason: str | None) -> str | None:
    """Return a reason with paths told from the run's folder: a run may be moved."""
    return reason.replace(f"{run.path.resolve()}/", "") if reason else None


def missing(run: RunFolder, cell: Cell) -> launch.Outcome:
    """Return what kept a cell's artifact from being made, as the run recorded it."""
    absent = artifacts.artifact(run.path, cell).relative_to(run.path)
    wanted = artifact_of(cell)
    maker = "convert" if wanted.is_export else "train"
    flag = f" --{wanted.when}" if wanted.when else ""
    reason = f"the run has no {absent}; 'twinpose {maker} {run.quoted}{flag}' makes it"
    for record in _attempts(run, cell):
        if record.get("status") in {"unsupported", "failed"}:
            return launch.Outcome(record["status"], record.get("reason") or reason, None, 0.0)
    return launch.Outcome("failed", reason, None, 0.0)


def _attempts(run: RunFolder, cell: Cell) -> list[dict[str, Any]]:
    """Return what the run recorded of the steps towards a cell's artifact, the first step first."""
    stages = run.facts()["stages"]
    found = [stages.get(f"train {cell.twin}", {})]
    if not artifact_of(cell).is_export:
        return found
    conversion = run.artifact_folder(cell.twin) / "conversion.json"
    routes = convert.read(conversion).routes if conversion.exists() else []
    name = artifacts.artifact(run.path, cell).name
    return [*found, stages.get(f"convert {cell.twin}", {}), *(r for r in routes if r.get("file") == name)]
