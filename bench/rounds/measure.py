"""Starts rounds, lane by lane, in interleaved passes of fresh processes, until none is due."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from bench.cells.cell import Cell, Lane
from bench.cells.scenarios import TIMED
from bench.process.affinity import Cores
from bench.rounds import close
from bench.rounds.plan import Agenda
from bench.rounds.repeats import Repeats
from bench.rounds.round_record import round_of
from bench.rounds.start_round import Means, run_round
from bench.run import journal
from bench.run import results as results_
from bench.run.results import CellResult


def measure(agenda: Agenda, means: Means) -> list[CellResult]:
    """Measure until no cell is due; return the rows, each stored as it is returned.

    A pass gives each due cell of a lane a round, in random order, in a fresh process each. A cell that
    fails is out for this bench. means.tell(name, fields) hears "pass_started" (lane, number, cells, why:
    how many cells for each reason), "cell_started" (id, number, count, round), the child's "phase" (id,
    phase, s) and "waited" (id, try, why, waited_s, quiet), "round_finished" (id, round, status,
    reason, value, verdict), "no_room_to_repeat", "no_time_to_repeat" and "never_quiet" (repeats_s), each
    once, and, once a cell is complete, has failed or may not be timed, "cell_finished" (id, number, count,
    status, reason, skipped).
    """
    measuring = _Measuring(agenda, means)
    for row in agenda.rows.values():
        if row.id in agenda.plan.barred and row.status != "ok":
            measuring.tried_in_vain(row.axes)
    with measuring.cores.parent_aside():
        for lane in agenda.lanes:
            measuring.sweep(lane)
    return list(agenda.rows.values())


@dataclass
class _Measuring:
    agenda: Agenda
    means: Means
    cores: Cores = field(default_factory=Cores.mine)
    raw: dict[str, list[dict[str, np.ndarray]]] = field(default_factory=dict)
    """Raw samples of the lane's cells, by ID: of each of their rounds so far."""
    finished: set[str] = field(default_factory=set)
    """IDs of cells that were told as finished."""

    def __post_init__(self) -> None:
        self.run = self.agenda.plan.basis.run
        self.repeats = Repeats(self.agenda.plan.basis.matrix.protocol, self.agenda.planned)
        self.place = {cell_id: number for number, cell_id in enumerate(self.agenda.rows, 1)}

    def tried_in_vain(self, cell: Cell) -> None:
        """Count a cell that may not be timed among those that were tried."""
        self.agenda.tried.add(cell.id)
        self._finish(cell)

    def sweep(self, lane: Lane) -> None:
        """Give the due cells of a lane a round each, pass after pass, until none is due."""
        number = 0
        while due := self.agenda.due(lane):
            number += 1
            drawn = self.means.session.draw(lane, number, [*due])
            journal.begin(self.run.path, drawn)
            if len(drawn.order) == 1:
                self.agenda.alone.add(drawn.id)
            said = {"lane": lane.id, "number": number, "cells": len(due), "why": Counter(due.values())}
            self.means.tell("pass_started", said)
            by_id = {cell.id: cell for cell in due}
            for cell in map(by_id.__getitem__, drawn.order):
                self._round(cell, drawn.id)
                if self.agenda.is_done(cell):
                    self._finish(cell)
            journal.end(self.run.path, drawn)
        self.raw.clear()
        for cell in self.agenda.lanes[lane]:
            self._finish(cell)

    def _round(self, cell: Cell, pass_id: str) -> None:
        agenda, basis = self.agenda, self.agenda.plan.basis
        before = agenda.rows[cell.id]
        which = len(before.rounds) + 1
        # Another protocol's rounds have numbers too.
        number = max([agenda.plan.last_number[cell.id], *(one.number for one in before.rounds)]) + 1
        if cell.id not in agenda.tried:
            agenda.tried.add(cell.id)
            self.means.tell("cell_started", {**self._where(cell), "round": which})
        samples = results_.samples_path(self.run.path, cell.id, number)
        started, cpus = journal.now(), self.cores.for_child(cell.threads)
        outcome = run_round(
            self.run,
            basis.matrix,
            cell,
            self.means,
            basis.artifact(cell),
            samples=samples,
            cpus=cpus,
            repeats=self.repeats,
            first=not before.rounds,
        )
        value = outcome.value or {}
        if value:
            made = round_of(value, outcome, started, number, pass_id, before)
            raw = self._raw(before, number) if cell.scenario in TIMED else []
            after = close.with_round(
                before,
                made,
                value["effective"],
                basis.matrix.protocol,
                basis.wanted(cell),
                raw,
                agenda.first_look,
            )
        else:
            samples.unlink(missing_ok=True)
            after = msgspec.structs.replace(before, status=outcome.status, reason=outcome.reason)
        results_.save(self.run.path, after)
        agenda.rows[cell.id] = after
        said = {"status": outcome.status, "reason": outcome.reason, "value": value.get("value")}
        verdict = after.rounds[-1].validity.verdict if value else None
        self.means.tell("round_finished", {"id": cell.id, "round": which, **said, "verdict": verdict})
        for what in self.repeats.add(after.rounds[-1]) if value else ():
            self.means.tell(what, {"repeats_s": self.repeats.repeats_s})

    def _raw(self, before: CellResult, number: int) -> list[dict[str, np.ndarray]]:
        """Return the raw samples of each of a cell's rounds and of the one that was measured last."""
        earlier = self.raw.get(before.id) or results_.samples_by_round(self.run.path, before)
        self.raw[before.id] = [*earlier, results_.round_samples(self.run.path, before.id, number)]
        return self.raw[before.id]

    def _finish(self, cell: Cell) -> None:
        """Tell that a cell is finished, once."""
        if cell.id in self.finished:
            return
        self.finished.add(cell.id)
        row, skipped = self.agenda.rows[cell.id], cell.id not in self.agenda.tried
        fields = {"status": row.status, "reason": row.reason, "skipped": skipped}
        self.means.tell("cell_finished", {**self._where(cell), **fields})

    def _where(self, cell: Cell) -> dict[str, Any]:
        return {"id": cell.id, "number": self.place[cell.id], "count": len(self.place)}
