"""The journal of passes: which were begun and which came to their end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell, Lane
from pose.files import make_folder, read_bytes

JOURNAL = "passes.jsonl"


@dataclass(frozen=True)
class Pass:
    """One interleaved sweep over cells of a lane: a round of each in turn. Its rounds are pairs."""

    id: str
    lane: Lane
    order: tuple[Cell, ...]
    sitting: str
    """The id of the bench that drew it."""
    seed: int
    """Of that bench, from which the order was drawn."""


def begin(run: Path, drawn: Pass) -> None:
    """Note in the journal that a pass begins, and its order."""
    _append(
        run,
        {
            "pass": drawn.id,
            "lane": drawn.lane.id,
            "order": [cell.id for cell in drawn.order],
            "seed": drawn.seed,
            "sitting": drawn.sitting,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def end(run: Path, drawn: Pass) -> None:
    """Note in the journal that a pass has given each of its cells its round."""
    _append(run, {"pass": drawn.id, "ended": datetime.now(UTC).isoformat(timespec="seconds")})


def begun(run: Path) -> list[dict[str, Any]]:
    """Return what the journal says of each pass that began, {pass, lane, order, seed, sitting}, in order."""
    return [line for line in _read(run) if "order" in line]


def broken(run: Path) -> set[str]:
    """Return the passes that began and never ended: their bench was killed."""
    return {line["pass"] for line in begun(run)} - {line["pass"] for line in _read(run) if "ended" in line}


def alone(run: Path) -> set[str]:
    """Return the passes over a single cell: its rounds are no pairs with any other's."""
    return {line["pass"] for line in begun(run) if len(line["order"]) == 1}


def _append(run: Path, fields: dict[str, Any]) -> None:
    path = run / "bench" / JOURNAL
    make_folder(path.parent)
    with open(path, "a", encoding="utf-8") as journal:
        # A line that a killed process left unfinished must not swallow this one.
        if journal.tell() and path.read_bytes()[-1:] != b"\n":
            journal.write("\n")
        journal.write(json.dumps(fields) + "\n")


def _read(run: Path) -> list[dict[str, Any]]:
    path = run / "bench" / JOURNAL
    if not path.exists():
        return []
    found = []
    for line in read_bytes(path, "a line of JSON a pass").splitlines():
        try:
            fields = json.loads(line)
        except ValueError:  # what a killed process left unfinished
            continue
        if isinstance(fields, dict) and "pass" in fields:
            found.append(fields)
    return found
