"""Why a cell's artifact is not there, as the run recorded it."""

from __future__ import annotations

from dataclasses import replace

from bench.cells.cell import Cell
from bench.cells.runtimes import artifact_of
from bench.process import launch
from bench.run import artifacts, conversion
from bench.run.folder import RunFolder


def recorded(run: RunFolder, outcome: launch.Outcome) -> launch.Outcome:
    """Return an outcome as the run records it: paths are told from its folder, for a run may be moved."""
    status = "failed" if outcome.status == "user_error" else outcome.status
    reason = outcome.reason and outcome.reason.replace(f"{run.path.resolve()}/", "")
    return replace(outcome, status=status, reason=reason)


def missing(run: RunFolder, cell: Cell, flag: str = "") -> launch.Outcome:
    """Return what kept a cell's artifact from being made, as the run recorded it.

    flag: of the matrix that names the cell, which a conversion must know where nothing else asks for it.
    """
    absent = artifacts.artifact(run.path, cell).relative_to(run.path)
    wanted = artifact_of(cell).artifact
    maker = "convert" if wanted.is_export else "train"
    flag = flag if wanted.is_export and cell.twin not in wanted.always else ""
    reason = f"the run has no {absent}; 'twinpose {maker} {run.quoted}{flag}' makes it"
    for status, why in _attempts(run, cell):
        if status in {"unsupported", "failed"}:
            return launch.Outcome(status, why or reason, None, 0.0)
    return launch.Outcome("failed", reason, None, 0.0)


def _attempts(run: RunFolder, cell: Cell) -> list[tuple[str, str | None]]:
    """Return status and reason of the steps towards a cell's artifact as recorded, the first step first."""
    is_export = artifact_of(cell).artifact.is_export
    verbs = ("train", "convert") if is_export else ("train",)
    stages = [run.facts()["stages"].get(f"{verb} {cell.twin}", {}) for verb in verbs]
    record = conversion.read(run.path, cell.twin) if is_export else None
    name = artifacts.artifact(run.path, cell).name
    routes = [route for route in (record.routes if record else ()) if route.file == name]
    steps = [(str(one.get("status")), one.get("reason")) for one in stages]
    return [*steps, *((route.status, route.reason) for route in routes)]
