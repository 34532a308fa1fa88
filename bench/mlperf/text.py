"""The rows as a table for people: a line for each scenario, or for what kept a cell from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.cells.cell import Cell
from bench.console import aligned
from bench.mlperf.options import CLAIM
from bench.parity import certificate
from bench.parity.certificate import Parity

COLUMNS = ("scenario", "valid", "p50 ms", "p90 ms", "p99 ms", "samples/s", "samples")


def text(rows: Sequence[dict[str, Any]], parity: Parity | None) -> str:
    """Return the table; `valid` is LoadGen's verdict under its settings, and what is off stands below.

    parity: of the run, by which a row is uncertified or not.
    """
    lines = []
    for row in rows:
        if row["status"] != "ok":
            lines += [row["id"], f"  {row['status']}: {row['reason']}"]
            continue
        why = certificate.doubt(parity, Cell(**row["axes"]), row["artifact_sha256"], row["certificate_id"])
        lines.append(f"{row['id']}  uncertified: {why}" if why else row["id"])
        head, *figures = aligned([COLUMNS, *map(_figures, row["scenarios"])])
        lines.append(f"  {head}")
        for said, found in zip(figures, row["scenarios"], strict=True):
            lines += [f"  {said}", *(f"    {note}" for note in _notes(found))]
    return "\n".join([*lines, CLAIM])


def _figures(found: dict[str, Any]) -> tuple[str, ...]:
    latencies = [_ms(found["latency_ns"][name]) for name in ("p50", "p90", "p99")]
    valid = "yes" if found["result_valid"] else "no"
    return found["scenario"], valid, *latencies, f"{found['qps']:.1f}", str(found["samples"])


def _notes(found: dict[str, Any]) -> list[str]:
    notes = [*found["reasons"], *found["warnings"], *found["deviations"]]
    if found["bound_met"] is not None:
        met = "met" if found["bound_met"] else "missed"
        bound = f"p99 bound {_ms(found['target_latency_ns'])} ms {met}"
        notes.insert(0, f"{bound} at {found['target_qps']:.1f} arrivals/s, {found['over_bound']} above it")
    return notes


def _ms(nanoseconds: int | None) -> str:
    return "-" if nanoseconds is None else f"{nanoseconds / 1e6:.3f}"
