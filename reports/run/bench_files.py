"""What the bench decided, as its files hold it: comparisons.json and the journal of passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bench.run import results
from pose.files import read_bytes


class Comparison(msgspec.Struct, frozen=True, rename={"set_": "set"}):
    """One pair of cells of a lane, measured in the same passes."""

    a: str
    b: str
    """Cell IDs."""
    scenario: str
    set_: str = ""
    lane: Any = None
    """Its text or its fields; the cells say it too."""
    n: int = 0
    """Pairs of rounds."""
    ratio: float | None = None
    """Value of a over that of b, geometric mean over pairs: of times, or of rates."""
    interval: tuple[float, float] | None = None
    """95 %, of the ratio."""
    p: float | None = None
    p_holm: float | None = None
    p_equivalence: float | None = None
    verdict: str | None = None
    """faster, slower, equivalent or inconclusive, of a against b; null where they are not ranked."""
    reason: str | None = None
    """Why there is no verdict, or what is doubtful about it."""
    doubts: list[str] = []


class Comparisons(msgspec.Struct, frozen=True):
    """comparisons.json."""

    comparisons: list[Comparison] = []
    schema: int = results.SCHEMA


class Pass(msgspec.Struct, frozen=True):
    """One interleaved sweep over the cells of a lane."""

    lane: str = ""
    order: list[str] = []
    """Cell IDs, as drawn."""
    seed: int | None = None
    sitting: str = ""


def passes(path: Path) -> tuple[Pass, ...]:
    """Return the sweeps that passes.jsonl says have begun; () without the file.

    A line that a killed bench left unfinished is passed over: the next one began a line of its own.
    """
    if not path.is_file():
        return ()
    found = []
    for line in read_bytes(path, "a line of JSON a pass").splitlines():
        try:
            fields = json.loads(line)
            if isinstance(fields, dict) and "order" in fields:
                found.append(msgspec.convert(fields, Pass))
        except ValueError:
            continue
    return tuple(found)
