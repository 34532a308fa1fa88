"""A run of a thousand cells: its page stays one file that a browser opens at once."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import bench_files
import ladder_files
import pytest

from bench.cells.cell import Cell
from pose.files import write_json
from reports.build import build
from reports.run.read import read

MOST_BYTES = 3_000_000


def thousand_cells() -> list[Cell]:
    """Return every kind of cell in lanes of batches, threads and allocators, and an A/A pair's second arm."""
    lanes = list(itertools.product((1, 2, 4, 8, 16), (1, 2, 4), ("glibc", "tuned")))
    kinds = [kind[:4] for kind in bench_files.KINDS]
    found = [
        Cell(*kind, "cpu", batch, threads, allocator, scenario)
        for kind, (batch, threads, allocator), scenario in itertools.product(
            kinds, lanes, ("latency", "throughput", "pipeline")
        )
    ]
    found += [Cell(*kind, "cpu", 8, 2, "glibc", "accuracy") for kind in kinds]
    found += [
        Cell(*kind, "cpu", batch, threads, "glibc", scenario)
        for kind in (("torch", "torch", "eager", "fp32"), ("tf", "tf", "graph", "fp32"))
        for batch, threads, scenario in itertools.product(range(2, 32), (1, 2, 4), ("train",))
    ]
    first = next(cell for cell in found if cell.id == bench_files.FIRST)
    return [*found, replace(first, replica=1)]


@pytest.mark.slow
def test_a_page_of_a_thousand_cells_is_below_three_megabytes(
    full_run: Path, make_run, monkeypatch: pytest.MonkeyPatch
):
    run, small = make_run(), read(full_run)
    assert small.split is not None
    monkeypatch.setattr(bench_files, "cells", thousand_cells)
    monkeypatch.setattr(bench_files, "rounds_of", lambda cell: 1 if cell.scenario == "accuracy" else 5)
    found = bench_files.write(run, small.split.sha256, small.facts["machine"])
    write_json(run / "parity.json", ladder_files.passed([cell.axes for cell in found if cell.status == "ok"]))
    assert len(read(run).cells) >= 1000
    page = build(run)
    assert page.stat().st_size < MOST_BYTES
    text = page.read_text()
    assert "lanes are drawn, the table has all." in text
    assert all(f">{cell.id}<" in text or cell.status == "ok" for cell in found)
