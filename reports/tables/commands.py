"""The table of the stages and their commands."""

from __future__ import annotations

from reports.formats import or_absent, seconds
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table


def stages(run: Run) -> Table | None:
    """Return the commands that made the run and their times, or None when none is recorded."""
    found = run.facts.get("stages") or {}
    rows = tuple(
        Row(
            (
                name,
                str(stage.get("command") or command(run, name)),
                or_absent(stage.get("wall_s"), "not recorded"),
                str(stage.get("status") or "done"),
            )
        )
        for name, stage in found.items()
        if isinstance(stage, dict)
    )
    if not rows:
        return None
    return Table(
        name="stages",
        title="Commands",
        columns=(
            Column("stage", "Stage"),
            Column("command", "Command", kind="code"),
            Column("wall_s", "Time", seconds, "number"),
            Column("status", "Status", kind="status"),
        ),
        rows=rows,
        note="What was run, in order; each makes its part again.",
        command=command(run, "run"),
        source="run.json",
    )
