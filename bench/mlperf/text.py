"""The rows as a table for people: a line for each scenario, or for what kept a cell from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.console import aligned
from bench.mlperf.options import CLAIM

COLUMNS = ("scenario", "valid", "p50 ms", "p90 ms", "p99 ms", "samples/s", "samples")

UNCERTIFIED = "uncertified: timed without a passed parity certificate"


def text(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table; `valid` is LoadGen's verdict under its settings, and what is off stands below."""
    lines = []
    for row in rows:
        proven = row["status"] != "ok" or row["certificate_id"]
        lines.append(row["id"] if proven else f"{row['id']}  {UNCERTIFIED}")
        if row["status"] != "ok":
            lines.append(f"  {row['status']}: {row['reason']}")
            continue
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
