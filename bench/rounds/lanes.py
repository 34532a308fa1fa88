"""Runs the cells of a matrix over a run folder, lane by lane, in interleaved passes of fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.cells import filter as filter_
from bench.cells.cell import Cell, Lane
from bench.cells.matrix import Matrix
from bench.cells.runtimes import RUNNERS
from bench.cells.scenarios import TIMED
from bench.parity import gate as gate_
from bench.process.affinity import Cores
from bench.process.launch import OnEvent
from bench.rounds import passes
from bench.rounds.noise_pair import with_replicas
from bench.rounds.passes import Sitting
from bench.rounds.reuse import Stock
from bench.rounds.round_record import round_of
from bench.rounds.start_round import Child
from bench.run import folder, journal, set_aside
from bench.run import results as results_
from bench.run.folder import RunFolder
from bench.run.results import CellResult, Round
from bench.statistics import samples
from bench.verdicts import cell_figures, comparisons


def run(
    path: Path,
    matrix: Matrix,
    *,
    only: str | None = None,
    timeout_s: float | None = None,
    uncertified: bool = False,
    again: bool = False,
    on_event: OnEvent | None = None,
    prepare: Callable[[], None] | None = None,
    runners: Mapping[str, str] = RUNNERS,
    env: Mapping[str, str] | None = None,
    sitting: Sitting | None = None,
    idle_w: float | None = None,
) -> list[CellResult]:
    """Measure the matrix's cells that `only` (-k) selects until each has its rounds; return them, as stored.

    Cells of one lane are measured in passes: a round of each in random order, a fresh process a round.
    What is stored under the same hash is kept (`again` forgets it) and only missing rounds are added; a
    cell that has all its rounds takes part again beside one of its lane that has not, for only rounds of
    one pass are pairs. Rounds of these weights by another protocol or version are put aside, and are back
    when that is asked for again.
    A cell that would be timed and that the parity ladder has not certified becomes a row with the
    reason, unless `uncertified`; UserError when certified weights were altered. on_event(name, fields)
    hears "put_aside" (profiles: how many cells of each), "pass_started" (lane, number, cells),
    "cell_started" (id, number, count, round), the child's "phase" (id, phase, s), "round_finished" (id,
    round, status, reason, value, verdict) and, once a cell is complete or has failed, "cell_finished" (id,
    number, count, status, reason, skipped).
    prepare is called once before the first round, and not at all when none is due.
    runners maps a runtime to "module:class"; env is laid over every child's environment;
    idle_w is what the GPU draws when idle, None where it is not known.
    """
    opened = folder.opened(Path(path))
    chosen = filter_.select(matrix.cells, only)
    gate = gate_.of_run(opened.path, matrix.places)
    if not uncertified:
        gate.require_unaltered()
    benching = _Bench(
        run=opened,
        matrix=matrix,
        chosen=chosen,
        timeout_s=matrix.protocol.timeout_s if timeout_s is None else timeout_s,
        stock=Stock.of(opened, matrix, chosen, gate),
        uncertified=uncertified,
        tell=on_event or (lambda name, fields: None),
        runners=runners,
        env=dict(env or {}),
        sitting=sitting or Sitting.begin(),
        idle_w=idle_w,
        broken=journal.broken(opened.path),
        alone=journal.alone(opened.path),
    )
    if again:
        for cell_id in with_replicas(chosen):
            results_.forget(opened.path, cell_id)
            set_aside.forget(opened.path, cell_id)
    lanes = passes.lanes(chosen)
    due = benching.take_stock(lanes)
    if benching.stock.put_aside:
        benching.tell("put_aside", {"profiles": benching.stock.put_aside})
    if due and prepare:
        prepare()
    with benching.cores.parent_aside():
        for lane, members in lanes.items():
            benching.measure(lane, members)
    return [benching.results[cell.id] for cell in chosen]


@dataclass
class _Bench:
    """One sitting over a run: what it was asked for, and the results so far by cell ID."""

    run: RunFolder
    matrix: Matrix
    chosen: list[Cell]
    timeout_s: float
    stock: Stock
    uncertified: bool
    tell: OnEvent
    runners: Mapping[str, str]
    env: dict[str, str]
    sitting: Sitting
    idle_w: float | None
    broken: set[str]
    """Passes that an earlier sitting began and never ended."""
    alone: set[str]
    """Passes over a single cell."""
    cores: Cores = field(default_factory=Cores.mine)
    results: dict[str, CellResult] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    """IDs of cells that this sitting has measured or tried to."""
    barred: set[str] = field(default_factory=set)
    """IDs of cells that may not be timed for want of a certificate."""
    failed_before: set[str] = field(default_factory=set)
    """IDs of cells that an earlier sitting could not measure."""
    finished: set[str] = field(default_factory=set)
    """IDs of cells that were told as finished."""

    def take_stock(self, lanes: Mapping[Lane, list[Cell]]) -> bool:
        """Read what is stored of every cell, bar those that may not be timed; say whether a round is due."""
        for cell in self.chosen:
            found = self.stock.stored(cell)
            if found and found.status != "ok":
                self.failed_before.add(cell.id)
            self.results[cell.id] = found or self.stock.empty(cell)
        for cell in self.chosen:
            self._bar(cell)
        return any(self._due(members) for members in lanes.values())

    def measure(self, lane: Lane, members: list[Cell]) -> None:
        """Sweep over a lane until no cell of it is due; a cell that fails is out for this sitting."""
        number = 0
        while due := self._due(members):
            number += 1
            drawn = self.sitting.draw(lane, number, due)
            journal.begin(self.run.path, drawn)
            if len(drawn.order) == 1:
                self.alone.add(drawn.id)
            self.tell("pass_started", {"lane": lane.id, "number": number, "cells": len(drawn.order)})
            by_id = {cell.id: cell for cell in due}
            for cell in map(by_id.__getitem__, drawn.order):
                self._round(cell, drawn.id)
                if self._done(cell):
                    self._finish(cell)
            journal.end(self.run.path, drawn)
        for cell in members:
            self._finish(cell)

    def _due(self, members: list[Cell]) -> list[Cell]:
        """Return the cells that lack rounds, and companions; when none does, those of too wide intervals."""
        lacking = [cell for cell in members if not self._done(cell)]
        return [*lacking, *self._companions(members, lacking)] if lacking else self._wide(members)

    def _companions(self, members: list[Cell], lacking: list[Cell]) -> list[Cell]:
        """Return a lane's measured cells, to share passes with those that lack rounds.

        A cell that failed before is first tried alone: it would cost the others a round in each sitting.
        """
        alone = {c.id for c in lacking if c.id in self.failed_before and self.results[c.id].status != "ok"}
        if all(cell.id in alone for cell in lacking):
            return []
        return [cell for cell in self._pairable(members) if cell not in lacking]

    def _pairable(self, members: list[Cell]) -> list[Cell]:
        """Return a lane's timed cells that are measured and may be measured again."""
        timed = [c for c in members if c.scenario in TIMED and c.id not in self.barred]
        return [cell for cell in timed if self.results[cell.id].status == "ok"]

    def _done(self, cell: Cell) -> bool:
        result = self.results[cell.id]
        if cell.id in self.barred or (result.status != "ok" and cell.id in self.touched):
            return True
        return result.status == "ok" and self._counted(cell) >= self.stock.wanted(cell)

    def _counted(self, cell: Cell) -> int:
        """Return how many rounds of a measured cell count: none without a partner where there is one."""
        partners = [c for c in self._pairable([c for c in self.chosen if c.lane == cell.lane]) if c != cell]
        paired_only = cell.scenario in TIMED and bool(partners)
        return passes.rounds_done(
            self.results[cell.id], self.broken | self.alone if paired_only else self.broken
        )

    def _wide(self, members: list[Cell]) -> list[Cell]:
        """Return a lane's measured cells while any of their intervals is too wide and rounds are left."""
        protocol, good = self.matrix.protocol, self._pairable(members)
        if protocol.half_width is None or len(good) < 2:
            return []
        pairs = comparisons.stopping_pairs([self.results[cell.id] for cell in good])
        # Rounds of a broken pass, or of one without a partner, are no pairs.
        rounds = min((len(a) for a, _ in pairs), default=protocol.rounds_max)
        narrow = samples.enough(pairs, rounds, protocol.rounds, protocol.rounds_max, protocol.half_width)
        return [] if narrow else good

    def _bar(self, cell: Cell) -> None:
        """Turn a cell that may not be timed into a row with the reason; rounds that it has are kept."""
        bars = None if self.uncertified else self.stock.gate.bars(cell, self.stock.artifact(cell))
        if bars is None:
            return
        self.barred.add(cell.id)
        kept = self.results[cell.id]
        if kept.status == "ok":
            return
        self.touched.add(cell.id)
        barred = msgspec.structs.replace(kept, status=bars[0], reason=bars[1])
        self._keep(barred)
        self._finish(cell)

    def _round(self, cell: Cell, pass_id: str) -> None:
        before = self.results[cell.id]
        number = max((one.number for one in before.rounds), default=0) + 1
        first = cell.id not in self.touched
        self.touched.add(cell.id)
        if first:
            self.tell("cell_started", {**self._place(cell), "round": number})
        child = Child(
            cell=cell,
            run=self.run,
            matrix=self.matrix,
            timeout_s=self.timeout_s,
            runner=self.runners[cell.runtime],
            env=self.env,
            cpus=self.cores.for_child(cell.threads),
            idle_w=self.idle_w,
        )
        started = datetime.now(UTC).isoformat(timespec="seconds")
        outcome = child.measure(self.stock.artifact(cell), self.tell)
        value = outcome.value or {}
        if value:
            made = round_of(value, outcome, started, number, pass_id, before)
            arrays = results_.load_samples(child.samples)
            if arrays:
                results_.save_samples(self.run.path, cell.id, number, arrays)
            child.samples.unlink(missing_ok=True)
            self._keep(self._with_round(before, made, value["effective"]))
        else:
            self._keep(msgspec.structs.replace(before, status=outcome.status, reason=outcome.reason))
        after = self.results[cell.id]
        said = {"status": outcome.status, "reason": outcome.reason, "value": value.get("value")}
        verdict = after.rounds[-1].validity.verdict if value else None
        self.tell("round_finished", {"id": cell.id, "round": number, **said, "verdict": verdict})

    def _with_round(self, before: CellResult, made: Round, effective: dict[str, Any]) -> CellResult:
        cell, protocol = before.axes, self.matrix.protocol
        rounds = [*before.rounds, made]
        looks = protocol.rounds if protocol.half_width else None
        after = msgspec.structs.replace(
            before,
            status="ok",
            reason=None,
            first_look=looks,
            protocol=protocol.to_dict(),
            effective=effective,
            rounds=rounds,
            rounds_wanted=self.stock.wanted(cell),
            validity=cell_figures.validity(rounds, self.stock.wanted(cell)),
        )
        # Those of an accuracy are no durations, and of no two rounds together.
        raw = results_.samples(self.run.path, after) if cell.scenario in TIMED else {}
        found = cell_figures.figures(cell, protocol, rounds, raw)
        return msgspec.structs.replace(after, stats=found)

    def _keep(self, result: CellResult) -> None:
        results_.save(self.run.path, result)
        self.results[result.id] = result

    def _finish(self, cell: Cell) -> None:
        """Tell that a cell is finished, once."""
        if cell.id in self.finished:
            return
        self.finished.add(cell.id)
        result = self.results[cell.id]
        fields = {"status": result.status, "reason": result.reason, "skipped": cell.id not in self.touched}
        self.tell("cell_finished", {**self._place(cell), **fields})

    def _place(self, cell: Cell) -> dict[str, Any]:
        return {"id": cell.id, "number": self.chosen.index(cell) + 1, "count": len(self.chosen)}
