"""What a bench is to measure, and why: of stored cells, a matrix and a certificate. Nothing is written."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.cells.cell import Cell, Lane
from bench.cells.matrix import Matrix
from bench.cells.scenarios import TIMED, why_not
from bench.parity.gate import Gate
from bench.rounds import passes
from bench.run import artifacts, cell_key
from bench.run.folder import RunFolder
from bench.run.results import CellResult
from bench.run.set_aside import StoredCell
from bench.statistics.stopping import StoppingRule
from bench.verdicts import comparisons, open_pairs
from bench.verdicts.comparisons import NOISE_FLOOR, Pair


@dataclass(frozen=True)
class Basis:
    """What decides a run's rounds now: its artifacts, its split, the matrix, the certificate."""

    run: RunFolder
    matrix: Matrix
    gate: Gate
    split: str
    """The SHA-256 of the run's split."""
    hashes: Mapping[Path, str | None]
    """Of the artifacts that the cells measure, by path."""
    keys: Mapping[str, str]
    """By ID, the hash under which a cell's rounds count: of these and of the versions that are installed."""

    @staticmethod
    def of(run: RunFolder, matrix: Matrix, gate: Gate) -> Basis:
        """Return what decides the rounds of a matrix's cells, read from the run."""
        hashes = cell_key.artifact_hashes(run.path, matrix.cells)
        decided = cell_key.decided_by_run(run)
        measures = {cell: hashes[artifacts.artifact(run.path, cell)] for cell in matrix.cells}
        keys = {c.id: cell_key.cell_hash(c, matrix, sha256, decided) for c, sha256 in measures.items()}
        return Basis(run, matrix, gate, decided["split"], hashes, keys)

    def artifact(self, cell: Cell) -> str | None:
        """Return the hash of what a cell measures; None where that is absent."""
        return self.hashes[artifacts.artifact(self.run.path, cell)]

    def wanted(self, cell: Cell) -> int:
        """Return how many rounds a cell is to have."""
        return self.matrix.protocol.rounds if cell.scenario in TIMED else 1

    def certificate(self, cell: Cell) -> str | None:
        """Return the id of the certificate that a cell has now."""
        return self.gate.certificate(cell, self.artifact(cell))[0]

    def empty(self, cell: Cell) -> CellResult:
        """Return the row of a cell that has no round yet."""
        name = cell.id.removesuffix("-again")
        return CellResult(
            id=cell.id,
            status="failed",
            reason="not measured yet",
            axes=cell,
            hash=self.keys[cell.id],
            artifact_sha256=self.artifact(cell),
            split_sha256=self.split,
            rounds_wanted=self.wanted(cell),
            certificate_id=self.certificate(cell),
            command=shlex.join(("twinpose", "bench", str(self.run.path), *self.matrix.options, "-k", name)),
        )


class Switch(NamedTuple):
    """A cell whose place is taken: by what is stored of it under another hash, or by nothing."""

    cell_id: str
    aside: CellResult | None
    """What stays, under its own hash."""
    back: CellResult | None


@dataclass(frozen=True)
class Plan:
    """What a bench starts from, and what of the stored cells has to change first."""

    basis: Basis
    rows: Mapping[str, CellResult]
    """Of each cell to be measured, by ID in the matrix's order: what is stored and holds, or an empty row."""
    barred: frozenset[str]
    """IDs of cells that may not be timed for want of a certificate."""
    failed_before: frozenset[str]
    """IDs of cells that an earlier bench could not measure."""
    last_number: Mapping[str, int]
    """By ID the highest number of a stored round, by whatever protocol."""
    switches: tuple[Switch, ...] = ()
    rewritten: tuple[CellResult, ...] = ()
    """Rows that are stored otherwise: another certificate, or none."""

    @property
    def put_aside(self) -> Counter[str]:
        """Return by profile how many cells have rounds of another protocol, version or weights."""
        return Counter(
            str(one.aside.protocol.get("profile", "unknown")) for one in self.switches if one.aside
        )


def plan(basis: Basis, stored: Mapping[str, StoredCell], *, uncertified: bool) -> Plan:
    """Return the plan of a bench of the matrix's cells; with `uncertified` none is barred."""
    rows, last_number = {}, {}
    barred, failed, switches, rewritten = [], [], [], []
    for cell in basis.matrix.cells:
        here = stored.get(cell.id, StoredCell())
        found = here.under(basis.keys[cell.id])
        last_number[cell.id] = here.last_number
        if here.current is not found:
            aside = here.current if here.current and here.current.rounds else None
            switches.append(Switch(cell.id, aside, found))
        if found and found.status != "ok":
            failed.append(cell.id)
        row = _row(basis, cell, found)
        bars = None if uncertified else basis.gate.bars(cell, basis.artifact(cell))
        if bars:
            barred.append(cell.id)
            if row.status != "ok":
                row = msgspec.structs.replace(row, status=bars[0], reason=bars[1])
        if row != found and (found or bars):
            rewritten.append(row)
        rows[cell.id] = row
    marked = frozenset(barred), frozenset(failed)
    return Plan(basis, rows, *marked, last_number, tuple(switches), tuple(rewritten))


def _row(basis: Basis, cell: Cell, found: CellResult | None) -> CellResult:
    """Return what is stored of a cell, with the certificate that it has now, or an empty row."""
    if found is None:
        return basis.empty(cell)
    granted = basis.certificate(cell)
    return (
        found if found.certificate_id == granted else msgspec.structs.replace(found, certificate_id=granted)
    )


LACKS, BESIDE, OPEN = "lack rounds", "beside them", "of open pairs"
"""Why a cell has a round in a pass."""


@dataclass
class Agenda:
    """How far a bench has come: the rows so far, and by them what is due."""

    plan: Plan
    broken: frozenset[str]
    """Passes that an earlier bench began and never ended."""
    alone: set[str]
    """Passes over a single cell."""
    others: Sequence[CellResult] = ()
    """The run's other cells: their pairs are of the same family."""
    more: bool = False
    """Whether pairs that are open now are measured until they are decided, beyond the last round."""
    rows: dict[str, CellResult] = field(init=False)
    tried: set[str] = field(default_factory=set)
    """IDs of cells that this bench has measured or tried to."""

    def __post_init__(self) -> None:
        self.rows = dict(self.plan.rows)
        self.lanes: dict[Lane, list[Cell]] = passes.lanes([row.axes for row in self.rows.values()])
        everyone = [one for one in self.others if one.id not in self.rows]
        everyone += self.rows.values()
        self.family = comparisons.family(everyone)
        found = comparisons.compare_lanes(everyone) if self.more else []
        self.asked = {(one.a, one.b): one for one in open_pairs.outlook(everyone, found).decidable}

    @property
    def can_time(self) -> bool:
        """Return whether a process can be started for any timed cell that is due for a round."""
        due = (cell for lane in self.lanes for cell in self.due(lane) if cell.scenario in TIMED)
        return any(self._can_start(cell) for cell in due)

    @property
    def planned(self) -> int:
        """Return how many timed rounds are due at least, of cells for which a process can be started."""
        timed = [cell for members in self.lanes.values() for cell in members if cell.scenario in TIMED]
        return sum(
            max(1, self.plan.basis.wanted(cell) - self._counted(cell))
            for cell in timed
            if self._can_start(cell) and not self.is_done(cell)
        )

    def _can_start(self, cell: Cell) -> bool:
        return bool(self.plan.basis.artifact(cell)) and not why_not(cell)

    @property
    def first_look(self) -> int | None:
        """Return the rounds at which a stopping rule looks first, 2 at least; None for a fixed number."""
        protocol = self.plan.basis.matrix.protocol
        return max(2, protocol.rounds) if protocol.is_sequential or self.more else None

    def due(self, lane: Lane) -> dict[Cell, str]:
        """Return which cells of a lane are due for a round, and why each is: LACKS, BESIDE or OPEN.

        Those that lack rounds, and companions; when none does, those of open pairs: what a decided pair
        would gain costs the open ones their time.
        """
        members = self.lanes[lane]
        lacking = [cell for cell in members if not self.is_done(cell)]
        if lacking:
            beside = self._companions(members, lacking)
            return dict.fromkeys(lacking, LACKS) | dict.fromkeys(beside, BESIDE)
        return dict.fromkeys(self._of_open_pairs(self._pairable(members)), OPEN)

    def is_done(self, cell: Cell) -> bool:
        """Return whether a cell has its rounds, or is out: barred, or failed in this bench."""
        row = self.rows[cell.id]
        if cell.id in self.plan.barred or (row.status != "ok" and cell.id in self.tried):
            return True
        return row.status == "ok" and self._counted(cell) >= self.plan.basis.wanted(cell)

    def _companions(self, members: list[Cell], lacking: list[Cell]) -> list[Cell]:
        """Return a lane's measured cells, to share passes with those that lack rounds.

        A cell that failed before is first tried alone: it would cost the others a round in each bench.
        """
        failed = self.plan.failed_before
        if all(cell.id in failed and self.rows[cell.id].status != "ok" for cell in lacking):
            return []
        return [cell for cell in self._pairable(members) if cell not in lacking]

    def _pairable(self, members: list[Cell]) -> list[Cell]:
        """Return a lane's timed cells that are measured and may be measured again."""
        timed = [c for c in members if c.scenario in TIMED and c.id not in self.plan.barred]
        return [cell for cell in timed if self.rows[cell.id].status == "ok"]

    def _counted(self, cell: Cell) -> int:
        """Return how many rounds of a measured cell count: none without a partner where there is one."""
        partners = [one for one in self._pairable(self.lanes[cell.lane]) if one != cell]
        unpaired = self.broken | self.alone if cell.scenario in TIMED and partners else self.broken
        return sum(one.pass_ not in unpaired for one in self.rows[cell.id].rounds)

    def _of_open_pairs(self, good: list[Cell]) -> list[Cell]:
        """Return which of a lane's measured cells have a further pass: those of each open pair."""
        most = self.plan.basis.matrix.protocol.rounds_max
        pairs = comparisons.stopping_pairs([self.rows[cell.id] for cell in good], most)
        left = [one for one in pairs if self._is_unsettled(one) or self._is_asked(one)]
        ids = {cell.id for pair in left for cell in (pair.a, pair.b)}
        return [cell for cell in good if cell.id in ids]

    def _is_unsettled(self, pair: Pair) -> bool:
        """Return whether the protocol measures a pair on: up to its last round, until it is settled."""
        protocol, rounds = self.plan.basis.matrix.protocol, pair.shared
        if not protocol.is_sequential or rounds >= protocol.rounds_max:
            return False
        if pair.unfit:  # too many rounds of a cell are INVALID so far
            return True
        # Equal arms are never told apart: how well they are known is all that settles an A/A pair.
        decides = self.family if protocol.until_decided and pair.set != NOISE_FLOOR else None
        rule = StoppingRule(protocol.rounds, protocol.rounds_max, protocol.half_width, decides)
        # Rounds of a broken pass, or of one without a partner, are no pairs.
        return not rule.is_over(pair.a_values, pair.b_values, rounds)

    def _is_asked(self, pair: Pair) -> bool:
        """Return whether a pair that was open is measured on: as far as was said, or until it is sure."""
        asked = self.asked.get((pair.a.id, pair.b.id))
        if asked is None:
            return False
        upto = asked.rounds + asked.passes
        rule = StoppingRule(self.plan.basis.matrix.protocol.rounds, upto, family=asked.family)
        return not rule.is_over(pair.a_values, pair.b_values, pair.shared)
