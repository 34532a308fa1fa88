"""The table of conversions: each route, and how far its output moved."""

from __future__ import annotations

from bench.run.conversion import Route
from reports.formats import TWIN_NAMES, Value, or_absent, seconds, tiny
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only


def conversion(run: Run) -> Table | None:
    """Return how far each conversion moved the output, or None when nothing was converted."""
    rows = [
        Row((TWIN_NAMES.get(twin, twin), *_route(route)), muted=route.status != "ok")
        for twin, found in run.conversions.items()
        for route in found.routes
    ]
    if not rows:
        return None
    return Table(
        name="conversion",
        title="Conversion",
        columns=(
            Column("source", "Source"),
            Column("route", "Route"),
            Column("file", "File", kind="code"),
            Column("max_abs_difference", "Max abs. difference", tiny, "number"),
            Column("relative_difference", "Relative to RMS", tiny, "number"),
            Column("wall_s", "Time", seconds, "number"),
            Column("status", "Status", kind="status"),
            *csv_only("sha256"),
        ),
        rows=tuple(rows),
        note="The converted network against its source on the same inputs: the largest difference of any "
        "heatmap value, and the same divided by the root mean square of the source's heatmaps.",
        command=command(run, "convert"),
        source=", ".join(f"artifacts/{twin}/conversion.json" for twin in run.conversions),
    )


def _route(route: Route) -> tuple[Value, ...]:
    reason = route.reason or "not recorded"
    moved, scale = route.max_abs_difference, route.rms_source
    relative = None if moved is None or not scale else moved / scale
    return (
        route.route,
        or_absent(route.file, reason),
        or_absent(moved, reason),
        or_absent(relative, reason if scale != 0 else "the source's output is zero everywhere"),
        or_absent(route.wall_s, "not recorded"),
        route.status,
        or_absent(route.sha256, reason),
    )
