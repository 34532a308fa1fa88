"""Reads what the kernel tells in files: text, numbers and lists of processors. Nothing here raises.

A file may be absent, empty or of another form (a sandbox, another kernel): then there is nothing to know.
"""

from __future__ import annotations

import math
from pathlib import Path

SYSTEM = Path("/")
"""Where /proc, /sys and /etc are looked for; tests put a folder here."""


def read(path: str) -> str:
    """Return the text of a file under /proc, /sys or /etc (a path without the first slash), or ""."""
    return text(SYSTEM / path)


def text(path: Path) -> str:
    """Return a file's text without the space around it; "" where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return ""


def whole(told: str) -> int | None:
    """Return a whole number from 0, or None for anything else ("max", "-1", "")."""
    # isdigit alone takes superscripts, which int refuses.
    return int(told) if told.isascii() and told.isdigit() else None


def number(told: str) -> float | None:
    """Return a finite number, or None for anything else."""
    try:
        found = float(told)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def processors(told: str) -> set[int]:
    """Return the logical processors of a list such as "0-3,8"; empty for anything else."""
    found: set[int] = set()
    for part in filter(None, told.split(",")):
        first, dash, last = part.partition("-")
        low, high = whole(first), whole(last if dash else first)
        if low is None or high is None:
            return set()
        found.update(range(low, high + 1))
    return found


def fields(told: str) -> dict[str, int]:
    """Return the lines "name number" or "name: number unit"; others are left out."""
    rows = [line.split() for line in told.splitlines()]
    found = {row[0].rstrip(":"): whole(row[1]) for row in rows if len(row) > 1}
    return {name: value for name, value in found.items() if value is not None}
