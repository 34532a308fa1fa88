"""What a run has of its cells already: kept while what decides it is the same, else aside or forgotten."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.cells.matrix import Matrix
from bench.cells.scenarios import TIMED
from bench.parity import gate as gate_
from bench.run import artifacts, cell_key, results, set_aside
from bench.run.folder import RunFolder
from bench.run.results import CellResult
from pose.errors import UserError


@dataclass
class Stock:
    """A run's cells as they are stored, and what decides whether they still hold."""

    run: RunFolder
    matrix: Matrix
    gate: gate_.Gate
    decided: dict[str, Any]
    hashes: dict[Path, str | None]
    """Of the artifacts that the cells measure, by path."""
    put_aside: Counter[str] = field(default_factory=Counter)
    """By profile, how many cells have rounds that were put aside."""

    @staticmethod
    def of(run: RunFolder, matrix: Matrix, cells: Sequence[Cell], gate: gate_.Gate) -> Stock:
        """Return a run's stock for cells of a matrix."""
        hashes = cell_key.artifact_hashes(run.path, cells)
        return Stock(run, matrix, gate, cell_key.decided_by_run(run), hashes)

    def artifact(self, cell: Cell) -> str | None:
        """Return the hash of what a cell measures; None where that is absent."""
        return self.hashes[artifacts.artifact(self.run.path, cell)]

    def wanted(self, cell: Cell) -> int:
        """Return how many rounds a cell is to have."""
        return self.matrix.protocol.rounds if cell.scenario in TIMED else 1

    def stored(self, cell: Cell) -> CellResult | None:
        """Return what is stored of a cell under its hash, with the certificate that it has now; or None."""
        set_aside.settle(self.run.path, cell.id)
        key = self._key(cell)
        try:
            found = results.read(results.folder(self.run.path) / f"{cell.id}.json")
        except UserError:  # absent, or damaged: measuring it again makes it whole
            found = None
        if found is None or found.hash != key:
            found = self._changed(cell, found, key)
        granted = self._certificate(cell)
        if found and found.certificate_id != granted:
            found = msgspec.structs.replace(found, certificate_id=granted)
            results.save(self.run.path, found)
        return found

    def empty(self, cell: Cell) -> CellResult:
        """Return the row of a cell that has no round yet."""
        name = cell.id.removesuffix("-again")
        return CellResult(
            id=cell.id,
            status="failed",
            reason="not measured yet",
            axes=cell,
            hash=self._key(cell),
            artifact_sha256=self.artifact(cell),
            split_sha256=self.decided["split"],
            rounds_wanted=self.wanted(cell),
            certificate_id=self._certificate(cell),
            command=shlex.join(("twinpose", "bench", str(self.run.path), *self.matrix.options, "-k", name)),
        )

    def _key(self, cell: Cell) -> str:
        return cell_key.cell_hash(cell, self.matrix, self.artifact(cell), self.decided)

    def _certificate(self, cell: Cell) -> str | None:
        return self.gate.certificate(cell, self.artifact(cell))[0]

    def _changed(self, cell: Cell, found: CellResult | None, key: str) -> CellResult | None:
        """Return what lies aside under a hash, after what is there instead was put aside.

        What is there of other weights or another split is no longer about this run: it is forgotten.
        """
        path, decided = self.run.path, (self.artifact(cell), self.decided["split"])
        if found and found.rounds and (found.artifact_sha256, found.split_sha256) == decided:
            set_aside.put(path, cell.id, found.hash)
            self.put_aside[str(found.protocol.get("profile", "unknown"))] += 1
        if set_aside.take(path, cell.id, key):
            return results.read(results.folder(path) / f"{cell.id}.json")
        results.forget(path, cell.id)
        return None
