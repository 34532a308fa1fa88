"""A row for each round, with what its cell says, as it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench.cells.scenarios import SCENARIOS
from bench.run.results import CellResult, Round

CELL = {
    "id": "string", "status": "string", "reason": "string",
    "twin": "string", "runtime": "string", "mode": "string", "precision": "string", "device": "string",
    "batch": "int64", "threads": "int64", "allocator": "string", "scenario": "string", "replica": "int64",
    "lane": "string", "verdict": "string", "verdict_reasons": "strings", "certificate_id": "string",
    "artifact_sha256": "string", "split_sha256": "string", "hash": "string", "command": "string",
    "effective": "string", "rounds_wanted": "int64",
}  # fmt: skip
"""Of `rounds`, what belongs to the cell and is the same in each of its rows; `effective` is JSON."""

ROUND = {
    "round": "int64", "pass": "string", "started": "time", "wall_s": "float64", "count": "int64",
    "value": "float64", "unit": "string", "round_verdict": "string", "round_verdict_reasons": "strings",
    "conditions": "string", "peak_rss_bytes": "int64", "peak_pss_bytes": "int64",
    "peak_device_bytes": "int64", "energy_j": "float64",
    "tries": "int64", "try_number": "int64", "repeats_s": "float64", "disturbances": "strings",
}  # fmt: skip
"""What belongs to the round; null in the one row of a cell that has none. `conditions` is JSON."""


def round_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the kinds of the columns of `round_rows` by name.

    Beside CELL and ROUND: phase_NAME_s, the round's figures as round_NAME and those over all rounds as
    cell_NAME, all float64.
    """
    fixed = CELL | ROUND
    figures = dict.fromkeys(name for row in rows for name in row if name not in fixed)
    return fixed | dict.fromkeys(figures, "float64")


def round_rows(results: Iterable[CellResult]) -> Iterator[dict[str, Any]]:
    """Yield a row for each round, and one for a cell without any. Figures that are no number are left out."""
    for result in results:
        cell = {name: getattr(result, name) for name in CELL if hasattr(result, name)}
        cell |= asdict(result.axes) | {
            "lane": result.axes.lane.id,
            "verdict": result.validity.verdict,
            "verdict_reasons": result.validity.reasons,
            "effective": json.dumps(result.effective),
            "unit": SCENARIOS[result.axes.scenario].unit,
            **_figures("cell", result.stats),
        }
        yield from (cell | _round(one) | {"round": n} for n, one in enumerate(result.rounds, 1))
        if not result.rounds:
            yield cell


def _round(one: Round) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in ROUND if hasattr(one, name)}
    return row | {
        "pass": one.pass_,
        "started": datetime.fromisoformat(one.started).astimezone(UTC),
        "round_verdict": one.validity.verdict,
        "round_verdict_reasons": one.validity.reasons,
        "conditions": json.dumps(one.conditions),
        "disturbances": [found.text for found in one.disturbances],
        **{f"phase_{name}_s": seconds for name, seconds in one.phases_s.items()},
        **_figures("round", one.stats),
    }


def _figures(prefix: str, stats: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the numbers in nested stats by joined names: cell_latency_ms_p50; null stays null."""
    found: dict[str, float | None] = {}
    for name, value in stats.items():
        if isinstance(value, Mapping):
            found |= _figures(f"{prefix}_{name}", value)
        elif isinstance(value, list):
            found |= _figures(f"{prefix}_{name}", dict(enumerate(value)))  # type: ignore[arg-type]
        elif value is None or isinstance(value, int | float):
            found[f"{prefix}_{name}"] = None if value is None else float(value)
    return found
