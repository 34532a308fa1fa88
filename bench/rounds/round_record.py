"""The record of a round that a child measured."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS
from bench.doubts import doubt
from bench.process import launch
from bench.run.results import CellResult, Round
from bench.statistics.validity import Validity

NO_PSS = "the system tells no proportional memory: what processes share is counted once for each"

SEEN = {"threads_computed"}
"""Of what was read back, what the process did: it may differ from round to round, and is judged in each."""


def round_of(
    value: dict[str, Any],
    outcome: launch.Outcome,
    started: str,
    number: int,
    pass_id: str,
    before: CellResult,
) -> Round:
    """Return the round that a child measured; a runtime that reads back something new flags it."""
    validity = msgspec.convert(value["validity"], Validity)
    told = {name: said for name, said in value["effective"].items() if name not in SEEN}
    changed = [k for k, v in told.items() if before.rounds and before.effective.get(k, v) != v]
    if changed:
        validity = Validity.of(*validity.known, doubt("read back", ", ".join(changed)))
    known = {
        "wall_s": outcome.wall_s,
        "started": started,
        "number": number,
        "pass": pass_id,
        "validity": msgspec.to_builtins(validity),
        **_memory(value, outcome, before.axes),
    }
    return msgspec.convert(value | known, Round)


def _memory(value: dict[str, Any], outcome: launch.Outcome, cell: Cell) -> dict[str, Any]:
    """Return a `Round`'s fields about memory: of its process, and of it and a loader's workers together.

    tf.data's workers are threads; a DataLoader's are processes, seen from outside a few times a second.
    """
    own, seen = value.get("peak_rss_bytes"), outcome.memory
    if seen is None or not seen.several or SCENARIOS[cell.scenario].of != "loader":
        return {"peak_rss_bytes": own}
    if seen.pss_bytes is not None:
        return {"peak_rss_bytes": own, "peak_pss_bytes": seen.pss_bytes}
    summed = max(filter(None, (own, seen.rss_bytes)), default=None)
    return {"peak_rss_bytes": summed, "conditions": value.get("conditions", {}) | {"pss_null": NO_PSS}}
