"""How latencies are spread: of the queries that a run keeps, for the lanes that a reader can take in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

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


def test_no_more_lanes_are_read_than_a_reader_takes_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(durations, "MOST_CELLS", 0)
    assert len(durations.lanes_with_queries(read(GOLDEN))) == 1
