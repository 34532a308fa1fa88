"""The tables of the parity ladder: every check with its bound, and every certificate."""

from __future__ import annotations

from bench.parity.certificate import LEAST_AP, Certificate, Check, Parity, Rung, says_nothing
from reports.formats import (
    Absent,
    Noted,
    Value,
    device,
    difference,
    measure,
    minute,
    or_absent,
    runtime,
    score,
    seconds,
    short,
)
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only


def checks(run: Run) -> Table | None:
    """Return a row for each check, and one for each rung without any; None without parity.json."""
    if run.parity is None:
        return None
    return Table(
        name="parity",
        title="Every check of the ladder",
        columns=(
            *csv_only("rung", "name"),
            Column("check", "Check"),
            Column("measured", "Measured", measure, "number"),
            Column("bound", "Bound", measure, "number"),
            Column("verdict", "Verdict", kind="status"),
            Column("where", "Worst at", kind="code"),
            *csv_only("why", "note"),
        ),
        rows=tuple(row for rung in run.parity.rungs for row in _rung(rung)),
        note="A check passes when what was measured is not above its bound. The letter at a bound leads to "
        "the reason for that number. What has no bound is reported beside and not judged.",
        command=_made_by(run, run.parity),
        source="parity.json",
        grouped_by="Rung",
    )


def _made_by(run: Run, parity: Parity) -> str:
    return parity.command or command(run, "parity")


def _rung(rung: Rung) -> list[Row]:
    heading = f"{rung.number}. {rung.name}: {rung.status}"
    heading += "" if rung.wall_s is None else f", {seconds(rung.wall_s)}"
    heading += f", kept from '{rung.command}' of {minute(rung.started)}" if rung.kept else ""
    rows = [Row((rung.number, rung.name, *_check(check)), heading) for check in rung.checks]
    if rung.checks and rung.status in {"pass", "fail"}:
        return rows
    reason = rung.reason or "no reason recorded"
    none = Absent(reason, quiet=True)
    nothing = (Noted("the whole rung", reason), none, none, rung.status, none, none, none)
    return [*rows, Row((rung.number, rung.name, *nothing), heading, muted=True)]


def _check(check: Check) -> tuple[Value, ...]:
    lost = check.note or "no finite error"
    return (
        Noted(check.name, check.note) if check.note else check.name,
        or_absent(check.measured, lost),
        Absent(check.reason) if check.bound is None else Noted(check.bound, check.reason),
        check.verdict,
        check.where or Absent("the check names no place", quiet=True),
        check.reason,
        check.note or Absent("the check has no note", quiet=True),
    )


def certificates(run: Run) -> Table | None:
    """Return a row for each artifact, runtime, mode and precision that was judged; None without any."""
    if run.parity is None or not run.parity.runtimes:
        return None
    found = run.parity.runtimes
    # What all rows would leave empty is no column for people.
    named, through = any(c.subject not in {None, c.twin} for c in found), any(c.is_crossed for c in found)
    return Table(
        name="certificates",
        title="Certificates",
        columns=(
            Column("weights", "Weights", only_csv=not named),
            Column("twin", "Twin", runtime),
            Column("runtime", "Runtime", runtime),
            Column("through", "IR through", runtime, only_csv=not through),
            Column("mode", "Mode"),
            Column("precision", "Precision"),
            Column("device", "Device", device),
            Column("rmse", "RMSE", measure, "number"),
            Column("bound", "Bound", measure, "number"),
            *csv_only("shift_px"),
            Column("AP", "AP", score, "number"),
            Column("dAP", "dAP", difference, "number"),
            Column("interval", "95% of dAP", kind="number"),
            *csv_only("dAP_low", "dAP_high"),
            Column("status", "Status", kind="status"),
            Column("certificate", "Certificate", short, "code"),
            Column("artifact_sha256", "Artifact", short, "code"),
            *csv_only("reason"),
        ),
        rows=tuple(Row(_certificate(c), muted=c.status == "unsupported") for c in found),
        note="RMSE of the heatmaps on the probe set to the float64 reference. dAP is AP minus that of the "
        "artifact's source, with its bootstrap interval over images; both are of the validation part, on "
        "ground-truth boxes. A certificate holds for its own artifact alone; both are given by the start "
        "of their SHA-256.",
        command=_made_by(run, run.parity),
        source="parity.json",
    )


def _certificate(found: Certificate) -> tuple[Value, ...]:
    reason, none = found.reason, Absent(found.reason or "not measured", quiet=True)
    low, high = found.dap_low, found.dap_high
    dap: Value = none if found.dap is None else found.dap
    if found.ap is not None and found.dap is not None and says_nothing(found.ap, found.dap):
        dap = Noted(found.dap, f"AP says nothing: the source's is below {LEAST_AP}")
    interval = none if low is None or high is None else f"{difference(low)} to {difference(high)}"
    return (
        *(found.subject or found.twin, found.twin, found.runtime),
        found.through or Absent("not an IR of a named twin", quiet=True),
        *(found.mode, found.precision, found.device),
        *(none if n is None else n for n in (found.rmse, found.bound, found.shift_px, found.ap)),
        *(dap, interval),
        *(none if n is None else n for n in (low, high)),
        Noted(found.status, reason) if reason else found.status,
        found.id,
        or_absent(found.artifact_sha256, "there is no artifact"),
        or_absent(reason, "none was recorded"),
    )
