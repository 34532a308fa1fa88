"""The rows as a table for people: a line for each scenario, or for what kept a cell from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.mlperf.options import CLAIM

COLUMNS = ("scenario", "valid", "p50 ms", "p90 ms", "p99 ms", "samples/s", "samples")
WIDTHS = (12, 5, 11, 11, 11, 9, 9)

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
        lines.append(_row(COLUMNS))
        for found in row["scenarios"]:
            lines += [_line(found), *(f"    {note}" for note in _notes(found))]
    return "\n".join([*lines, CLAIM])


def _line(found: dict[str, Any]) -> str:
    latencies = [_ms(found["latency_ns"][name]) for name in ("p50", "p90", "p99")]
    valid = "yes" if found["result_valid"] else "no"
    return _row((found["scenario"], valid, *latencies, f"{found['qps']:.1f}", str(found["samples"])))


def _row(words: Sequence[str]) -> str:
    first, *rest = (f"{word:>{width}s}" for word, width in zip(words, WIDTHS, strict=True))
    return "  ".join(["", first.strip().ljust(WIDTHS[0]), *rest])


def _notes(found: dict[str, Any]) -> list[str]:
    notes = [*found["reasons"], *found["warnings"], *found["deviations"]]
    if found["bound_met"] is not None:
        met = "met" if found["bound_met"] else "missed"
        bound = f"p99 bound {_ms(found['target_latency_ns'])} ms {met}"
        notes.insert(0, f"{bound} at {found['target_qps']:.1f} arrivals/s, {found['over_bound']} above it")
    return notes


def _ms(nanoseconds: int | None) -> str:
    return "-" if nanoseconds is None else f"{nanoseconds / 1e6:.3f}"
