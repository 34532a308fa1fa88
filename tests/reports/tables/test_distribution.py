"""How latencies are spread: of the queries that a run keeps, for the lanes that a reader can take in."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.run import results
from reports.frames import durations
from reports.plots import distribution as plot_
from reports.run.read import read
from reports.tables import distribution
from reports.tables.table import to_csv

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "run"
FAST = "torch-openvino-ir-fp32-cpu-b1-t2-glibc-latency"


def test_quantiles_are_those_of_all_rounds_queries_and_the_figure_draws_them():
    run = read(GOLDEN)
    table, plot = distribution.table(run), plot_.plot(run)
    assert table is not None
    assert plot is not None
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}
    cell = next(cell for cell in run.cells if cell.id == FAST)
    ms = results.samples(GOLDEN, cell)["latency_ns"] / 1e6
    assert int(rows[FAST]["queries"]) == len(ms)
    assert float(rows[FAST]["q50_ms"]) == pytest.approx(np.percentile(ms, 50))
    assert {gid.removeprefix("spread-") for gid in plot.tooltips} == set(rows)
    assert "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency" not in rows, "it is INVALID"


def test_a_run_without_samples_has_neither(full_run: Path):
    assert distribution.table(read(full_run)) is None
    assert plot_.plot(read(full_run)) is None


def test_table_and_figure_read_the_samples_of_a_cell_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    read_them = results.samples

    def noted(run: Path, cell: results.CellResult) -> dict[str, np.ndarray]:
        asked.append(cell.id)
        return read_them(run, cell)

    monkeypatch.setattr(results, "samples", noted)
    run = read(GOLDEN)
    assert distribution.table(run)
    assert plot_.plot(run)
    assert FAST in asked
    assert len(asked) == len(set(asked))


def test_no_more_lanes_are_read_than_a_reader_takes_in_and_both_say_so(monkeypatch: pytest.MonkeyPatch):
    run = read(GOLDEN)
    assert run.facts["threads"] == 2
    alone = [
        msgspec.structs.replace(cell, axes=replace(cell.axes, threads=1))
        for cell in run.cells
        if cell.id == FAST
    ]
    run = replace(run, cells=(*alone, *run.cells))
    lanes, left_out = durations.lanes_with_queries(run)
    assert ["1 thread" in name for name in lanes] == [True, False]
    assert left_out == ""
    monkeypatch.setattr(durations, "MOST_CELLS", 0)
    run = replace(run)
    [lane], left_out = durations.lanes_with_queries(run)
    assert "2 threads" in lane
    assert "1 of 2 lanes are shown" in left_out
    table, plot = distribution.table(run), plot_.plot(run)
    assert table is not None
    assert plot is not None
    assert table.note.endswith(left_out)
    assert plot.note.endswith(left_out)


def test_lanes_share_one_axis_so_that_their_latencies_compare():
    run = read(GOLDEN)
    other = next(c for c in run.cells if c.id == FAST)
    axes = replace(other.axes, threads=1)
    twice = replace(run, cells=(*run.cells, msgspec.structs.replace(other, axes=axes)))
    plot = plot_.plot(twice)
    assert plot is not None
    limits = [one.get_xlim() for one in plot.figure.axes]
    assert len(limits) == 2
    assert len(set(limits)) == 1
