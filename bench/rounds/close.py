"""What rounds come to: figures, comparisons, shares of the peak, the noise floor. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from bench.ceilings import shares
from bench.cells.cell import Cell
from bench.cells.protocol import Protocol
from bench.cells.scenarios import TIMED
from bench.run.bench_file import BenchFile, NoiseFloor
from bench.run.results import CellResult, Round
from bench.verdicts import cell_figures, comparisons, noise_floor
from bench.verdicts.comparisons import Comparison


def with_round(
    before: CellResult,
    made: Round,
    effective: dict[str, Any],
    protocol: Protocol,
    wanted: int,
    raw: Sequence[Mapping[str, np.ndarray]],
    first_look: int | None = None,
) -> CellResult:
    """Return a cell with one round more, and its figures over all of them.

    effective: what the runtime read back; wanted: how many rounds it is to have; raw: nanoseconds of each
    round by name, [] for what is not timed; first_look: where the bench's stopping rule looks first, None
    for a fixed number, which leaves what an earlier one has paid.
    """
    rounds = [*before.rounds, made]
    return msgspec.structs.replace(
        before,
        status="ok",
        reason=None,
        first_look=first_look or before.first_look,
        protocol=protocol.to_dict(),
        effective=effective,
        rounds=rounds,
        rounds_wanted=wanted,
        validity=cell_figures.validity(rounds, wanted),
        stats=cell_figures.figures(before.axes, protocol, rounds, raw),
    )


def lacks_percentiles(row: CellResult, protocol: Protocol) -> bool:
    """Return whether the figures of a cell's rounds have other percentiles than a protocol asks for now."""
    known = row.protocol.get("percentiles")
    asks = row.status == "ok" and row.axes.scenario in TIMED
    return asks and known is not None and tuple(known) != protocol.percentiles


def with_percentiles(
    row: CellResult, protocol: Protocol, raw: Sequence[Mapping[str, np.ndarray]]
) -> CellResult:
    """Return a cell with the percentiles that a protocol asks for, over the rounds that it has.

    raw: as in `with_round`. The share of the peak stays that of the session that measured the cell.
    """
    stats = row.stats | cell_figures.figures(row.axes, protocol, row.rounds, raw)
    asked = {"percentiles": [*protocol.percentiles]}
    return msgspec.structs.replace(row, stats=stats, protocol={**row.protocol, **asked})


@dataclass(frozen=True)
class Closed:
    """What a bench leaves of a run's cells."""

    cells: Mapping[str, CellResult]
    """All of the run by ID, those that were timed with their share of the peak."""
    comparisons: list[Comparison]
    noise: NoiseFloor


def close(
    cells: Mapping[str, CellResult],
    measured: Mapping[str, CellResult],
    record: BenchFile,
    pair: tuple[Cell, Cell] | None,
    session: str,
    macs: int,
) -> Closed:
    """Return what a run's cells come to after a bench.

    cells: all of the run, by ID; measured: those that the bench was asked for; record: its bench.json;
    pair: the A/A pair that it measured; session: its ID; macs: multiply-adds of the network, an image.
    """
    shared = {one.id: one for one in shares.with_shares([*measured.values()], record, macs)}
    cells = dict(sorted({**cells, **shared}.items()))
    found, noise = comparisons.compare_lanes(cells.values()), record.noise
    timed = any(one.status == "ok" and one.axes.scenario in TIMED for one in shared.values())
    if pair and timed:
        noise = noise_floor.renewed(noise, found, pair, cells, session)
    if noise.verdict == "INVALID":
        found = comparisons.withheld(found, f"the run is INVALID: {'; '.join(noise.reasons)}")
    return Closed(cells, found, noise)
