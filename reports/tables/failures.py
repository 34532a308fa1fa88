"""What failed, what is doubtful and what is absent: nothing of it may be dropped silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from bench.cells.runtimes import read_back
from bench.parity.certificate import Check
from bench.run import artifacts
from bench.run.results import CellResult
from reports.formats import Absent, Value, or_absent
from reports.run.missing import command, missing
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import ladder, measurement

REASON = 2
"""Where a row has its reason."""


def failures(run: Run) -> Table | None:
    """Return a row for everything that is not as asked, or None when all is well."""
    rows = (*_ladder(run), *_noise(run), *_cells(run), *_routes(run), *_parts(run))
    if not rows:
        return None
    shared = Counter(row.values[REASON] for row in rows)
    return Table(
        name="failures",
        title="What failed, and what is missing",
        columns=(
            Column("what", "What", kind="code"),
            Column("status", "Status", kind="status"),
            Column("said", "Reason", only_page=True),
            *csv_only("reason"),
            Column("command", "Command", kind="code"),
        ),
        rows=tuple(_with_letter(row, shared) for row in rows),
        note="Everything that is not as it was asked for. The command measures or makes it again. A reason "
        "that several share is said once, under its letter.",
        command=command(run, "report"),
        source="bench/cells/*.json, artifacts/*/conversion.json and the run's files",
        grouped_by="Kind",
    )


def _with_letter(row: Row, shared: Counter[Value]) -> Row:
    """Return a row with what people read in place of its reason: a letter where other rows have it too."""
    what, status, reason, again = row.values
    many = shared[reason] > 1 and isinstance(reason, str)
    said = Absent(str(reason), shown="see") if many else reason
    return replace(row, values=(what, status, said, reason, again))


def _ladder(run: Run) -> list[Row]:
    """Return the checks, rungs and certificates that failed or could not be had.

    A rung that was not climbed was not asked for; the ladder's own table says why.
    """
    if run.parity is None:
        return []
    again, rows = run.parity.command or command(run, "parity"), []
    for rung in run.parity.rungs:
        failed = [check for check in rung.checks if check.passed is False]
        rows += [(f"rung {rung.number}: {check.name}", "fail", _missed(check)) for check in failed]
        if rung.status == "unsupported" or (rung.status == "fail" and not failed):
            name = f"rung {rung.number}: {rung.name}"
            rows.append((name, rung.status, rung.reason or "no reason recorded"))
    rows += [
        (ladder.certified(found), found.status, found.reason or "no reason recorded")
        for found in run.parity.runtimes
        if found.status in {"fail", "unsupported"}
    ]
    return [Row((*row, again), "Parity") for row in rows]


def _missed(check: Check) -> str:
    at = f", worst at {check.where}" if check.where else ""
    return ladder.against(check) + at + (f"; {check.note}" if check.note else "")


def _noise(run: Run) -> list[Row]:
    noise = measurement.noise(run)
    if noise.verdict in {None, "VALID"}:
        return []
    reasons = "; ".join(noise.reasons) or "no reason recorded"
    return [Row(("noise floor of the run", noise.verdict, reasons, command(run, "bench")), "Measurement")]


def _cells(run: Run) -> list[Row]:
    rows = []
    paths = {artifacts.artifact(run.path, result.axes) for result in run.cells}
    hashes = {path: artifacts.artifact_sha256(path) for path in paths}
    for result in run.cells:
        status, reason = _trouble(run, result, hashes[artifacts.artifact(run.path, result.axes)])
        if status:
            rows.append(Row((result.id, status, reason, result.command), "Cells"))
    return rows


def _trouble(run: Run, result: CellResult, artifact_sha256: str | None) -> tuple[str, str]:
    """Return what is wrong with a cell and why; two empty strings when nothing is.

    artifact_sha256 is that of the file as it is now; None where the run no longer has it.
    """
    if result.status != "ok":
        return result.status, result.reason or "no reason recorded"
    if run.split and result.split_sha256 != run.split.sha256:
        return "stale", "measured on another split than the run's"
    if artifact_sha256 not in {None, result.artifact_sha256}:
        return "stale", "measured on another artifact than the run has now"
    said = read_back(result.effective)
    asked = result.axes.precision
    if said in {"fp32", "fp16", "bf16"} and asked not in {said, "defaults"}:
        return "mismatch", f"asked for {asked}, the runtime said {said}"
    if result.validity.verdict != "VALID":
        return result.validity.verdict, "; ".join(result.validity.reasons) or "no reason recorded"
    return "", ""


def _routes(run: Run) -> list[Row]:
    rows = []
    for twin, found in run.conversions.items():
        again = command(run, "convert", twin)
        for route in (route for route in found.routes if route.status != "ok"):
            reason = or_absent(route.reason, "not recorded")
            rows.append(Row((f"{twin} {route.route}", route.status, reason, again), "Conversions"))
    return rows


def _parts(run: Run) -> list[Row]:
    return [Row((m.part, m.status, m.reason, m.command), "Parts of the run") for m in missing(run)]
