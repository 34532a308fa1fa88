"""In what conditions each cell was measured: doubts by round, cores, memory, energy, as recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.cells.scenarios import TIMED
from bench.doubts import Doubt, by_kind, older
from bench.run.results import CellResult, Round
from reports.formats import Absent, Value, mebibytes, number, or_absent, quiet
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import cells as cells_

NO_ENERGY = "Energy is null, a dash, where no counter was read: null is not zero."


def table(run: Run) -> Table | None:
    """Return a row for each timed cell that was measured, by lane; None without any."""
    timed = [c for c in run.cells if c.axes.scenario in TIMED and c.rounds]
    cells = sorted(timed, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes), c.id))
    if not cells:
        return None
    return Table(
        name="conditions",
        title="Conditions",
        columns=(
            Column("name", "Cell"),
            Column("rounds", "Rounds", kind="number"),
            Column("doubtful_rounds", "With doubts", kind="number"),
            Column("doubts", "Doubts: steal, load, clock, throttling"),
            Column("cores_used", "Cores used", number, "number"),
            Column("device_memory_bytes", "Device MiB", mebibytes, "number"),
            Column("energy_mj_per_image", "Energy, mJ an image", number, "number"),
            *csv_only("id"),
        ),
        rows=tuple(Row(_values(cell), cells_.heading(cell.axes.lane)) for cell in cells),
        note=f"{_order_says(run)} What the machine did before and after each round is in the cell's file; "
        f"here is what of it is doubtful. {NO_ENERGY}",
        command=command(run, "bench"),
        source="bench/cells/*.json" + (" and bench/passes.jsonl" if run.passes else ""),
        grouped_by="Lane",
    )


def _order_says(run: Run) -> str:
    if not run.passes:
        return "The order of the rounds is not recorded: there is no bench/passes.jsonl."
    return (
        f"Rounds were interleaved in {len(run.passes)} passes over the lanes, each in a random order that "
        "bench/passes.jsonl records with its seed."
    )


def _values(cell: CellResult) -> tuple[Value, ...]:
    recorded = [one for one in cell.rounds if one.conditions]
    doubtful = [one for one in recorded if one.conditions.get("doubts")]
    unrecorded = Absent("no round of this cell recorded its conditions")
    memory = cells_.most(cell, "peak_device_bytes")
    return (
        cells_.name(cell.axes),
        len(cell.rounds),
        len(doubtful) if recorded else unrecorded,
        _doubts(cell) or ("none" if recorded else unrecorded),
        or_absent(cells_.cores_used(cell), "not recorded"),
        Absent("no device memory was read", quiet=True) if memory is None else memory,
        quiet(or_absent(cell.stats.get("energy_mj_per_image"), "no counter was read")),
        cell.id,
    )


def _doubts(cell: CellResult) -> str:
    """Return the doubts of all rounds, those that differ in figures alone as one, most frequent first."""
    kinds = by_kind([map(older, _said(one.conditions)) for one in cell.rounds])
    return "; ".join(_one_doubt(cell.rounds, kind) for kind in kinds)


def _said(conditions: dict[str, Any]) -> list[str]:
    doubts = conditions.get("doubts")
    return [str(doubt) for doubt in doubts] if isinstance(doubts, list) else []


def _one_doubt(rounds: Sequence[Round], kind: Mapping[int, Doubt]) -> str:
    place, first = next(iter(kind.items()))
    number = place + 1
    if len(kind) == 1:
        return f"{first.text} (round {number})"
    same = len(set(kind.values())) == 1
    return f"{first.text} ({len(kind)} of {len(rounds)} rounds{'' if same else f', this in round {number}'})"
