"""What MLPerf's own load generator said of the runners, where `bench --protocol mlperf` was run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.parity import certificate
from reports.formats import Absent, Noted, Value, milliseconds, per_second
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table
from reports.words import cells, certification

PERCENTILES = ("p50", "p90", "p99")


def table(run: Run) -> Table | None:
    """Return a row for each test of LoadGen, and for each cell that it could not test; None without any."""
    if not run.mlperf:
        return None
    claims = dict.fromkeys(_sentence(str(row["claim"])) for row in run.mlperf.values() if row.get("claim"))
    return Table(
        name="mlperf",
        title="By MLPerf's load generator",
        columns=(
            Column("name", "Cell"),
            Column("scenario", "Scenario"),
            *(Column(f"{p}_ms", f"{p} ms", milliseconds, "number") for p in PERCENTILES),
            Column("qps", "Queries/s", per_second, "number"),
            Column("result", "Result", kind="status"),
            Column("parity", "Parity", kind="status"),
            Column("doubts", "Reasons and warnings"),
            Column("id", "Cell", only_csv=True),
        ),
        rows=tuple(
            Row(_values(run, cell_id, row, test), _lane(run, cell_id), muted=not test.get("result_valid"))
            for cell_id, row in run.mlperf.items()
            for test in _tests(row)
        ),
        note=" ".join(("The same runners, driven and judged by mlcommons-loadgen.", *claims)),
        command=str(next(iter(run.mlperf.values())).get("command") or command(run, "bench")),
        source="bench/mlperf/*.json",
        grouped_by="Lane",
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "."


def _tests(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tests of a cell; one without figures where there was none."""
    tests = row.get("scenarios")
    found: list[Mapping[str, Any]] = []
    if isinstance(tests, list):
        found = [test for test in tests if isinstance(test, dict)]
    return found or [{}]


def _axes(run: Run, cell_id: str) -> Cell | None:
    """Return a cell's axes: those it says itself, or else those of the run's cell of that name."""
    said = run.mlperf[cell_id].get("axes")
    try:
        return msgspec.convert(said, Cell)
    except msgspec.ValidationError:
        return next((cell.axes for cell in run.cells if cell.id == cell_id), None)


def _lane(run: Run, cell_id: str) -> str:
    axes = _axes(run, cell_id)
    return cells.lane(axes) if axes else "lane not recorded"


def _values(run: Run, cell_id: str, row: Mapping[str, Any], test: Mapping[str, Any]) -> tuple[Value, ...]:
    axes, nulls = _axes(run, cell_id), test.get("nulls") or {}
    latency = test.get("latency_ns") or {}
    none = Absent(f"{row.get('status', 'failed')}: {row.get('reason') or 'no reason recorded'}", quiet=True)
    said = [str(text) for key in ("reasons", "warnings", "deviations") for text in test.get(key) or []]
    return (
        cells.name(axes) if axes else cell_id,
        str(test["scenario"]) if test.get("scenario") else none,
        *(_ms(latency.get(p), str(nulls.get(p) or none.reason)) for p in PERCENTILES),
        _figure(test.get("qps"), none.reason),
        _result(row, test),
        _parity(run, axes, row),
        "; ".join(said) or Absent("nothing is doubtful", shown="", quiet=True),
        cell_id,
    )


def _result(row: Mapping[str, Any], test: Mapping[str, Any]) -> Value:
    valid = test.get("result_valid")
    if valid is None:
        return Noted(str(row.get("status") or "not recorded"), str(row.get("reason") or "no reason recorded"))
    return "VALID" if valid else "INVALID"


def _parity(run: Run, axes: Cell | None, row: Mapping[str, Any]) -> Value:
    """Return `certified` or `uncertified` of what was timed, with the reason of a doubt."""
    if axes is None or row.get("status") != "ok":
        return Absent("no timing of a network here", quiet=True)
    doubt = certificate.doubt(run.parity, axes, row.get("artifact_sha256"), row.get("certificate_id"))
    return Noted(certification.UNCERTIFIED, doubt) if doubt else "certified"


def _ms(value: object, reason: str) -> Value:
    nanoseconds = _figure(value, reason)
    return nanoseconds / 1e6 if isinstance(nanoseconds, float) else nanoseconds


def _figure(value: object, reason: str) -> float | Absent:
    return float(value) if isinstance(value, int | float) else Absent(reason, quiet=True)
