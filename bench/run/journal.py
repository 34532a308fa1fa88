"""The journal of passes: which were begun and which came to their end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pose.files import make_folder, read_bytes

JOURNAL = "passes.jsonl"


class Pass(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"id": "pass", "session": "sitting"}
):
    """One interleaved sweep over cells of a lane: a round of each in turn. Its rounds are pairs."""

    id: str
    lane: str
    order: tuple[str, ...]
    """The IDs of its cells, as drawn."""
    seed: int | None = None
    """Of its bench, from which the order was drawn."""
    session: str = ""
    """The id of the bench that drew it."""
    started: str = ""
    """ISO 8601, UTC."""
    ended: str | None = None
    """When each of its cells had its round; None while it goes on, or when its bench was killed."""


class End(msgspec.Struct, frozen=True, rename={"id": "pass"}):
    """The line that says when a pass came to its end."""

    id: str
    ended: str


def begin(run: Path, drawn: Pass) -> None:
    """Note in the journal that a pass begins, and its order."""
    _append(run, msgspec.structs.replace(drawn, started=now()))


def end(run: Path, drawn: Pass) -> None:
    """Note in the journal that a pass has given each of its cells its round."""
    _append(run, End(drawn.id, now()))


def passes(run: Path) -> tuple[Pass, ...]:
    """Return the passes that the journal says have begun, in order; () without one.

    A line that a killed process left unfinished is passed over: the next one began a line of its own.
    """
    path = run / "bench" / JOURNAL
    if not path.is_file():
        return ()
    found: dict[str, Pass] = {}
    for line in read_bytes(path, "a line of JSON a pass").splitlines():
        try:
            read = msgspec.json.decode(line, type=dict[str, Any])
            if "order" in read:
                begun = msgspec.convert(read, Pass)
                found[begun.id] = begun
            elif "ended" in read:
                ended = msgspec.convert(read, End)
                if ended.id in found:
                    found[ended.id] = msgspec.structs.replace(found[ended.id], ended=ended.ended)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return tuple(found.values())


def broken(begun: Iterable[Pass]) -> frozenset[str]:
    """Return the IDs of passes that began and never ended: their bench was killed."""
    return frozenset(one.id for one in begun if one.ended is None)


def alone(begun: Iterable[Pass]) -> set[str]:
    """Return the IDs of passes over a single cell: its rounds are no pairs with any other's."""
    return {one.id for one in begun if len(one.order) == 1}


def now() -> str:
    """Return the time, ISO 8601 in UTC, as every record of a run has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _append(run: Path, line: Pass | End) -> None:
    path = run / "bench" / JOURNAL
    make_folder(path.parent)
    with open(path, "a", encoding="utf-8") as journal:
        # A line that a killed process left unfinished must not swallow this one.
        if journal.tell() and path.read_bytes()[-1:] != b"\n":
            journal.write("\n")
        journal.write(json.dumps(msgspec.to_builtins(line)) + "\n")
