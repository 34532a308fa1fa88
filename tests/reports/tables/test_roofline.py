"""What each cell reaches of what the machine allows it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import bench_files
import pytest

from pose import architecture
from pose.recipe import Model
from reports.frames import roofline_rows
from reports.plots import roofline as plot_
from reports.run.read import read
from reports.tables import roofline
from reports.tables.table import to_csv


def test_a_cell_reaches_twice_its_multiply_adds_a_second(full_run: Path):
    run = read(full_run)
    table = roofline.table(run)
    assert table is not None
    assert run.recipe is not None
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}
    macs, ms = architecture.build(run.recipe.model).macs, bench_files.base(bench_files.cells()[0])
    assert float(rows[bench_files.FIRST]["gflops"]) == pytest.approx(2 * macs / ms / 1e6, rel=1e-3)
    assert float(rows[bench_files.FIRST]["roof_gflops"]) == 141.3
    batched = rows["torch-torch-eager-fp32-cpu-b8-t2-glibc-throughput"]
    assert float(batched["flop_per_byte"]) > float(rows[bench_files.FIRST]["flop_per_byte"])
    assert bench_files.INVALID not in rows


def test_memory_bounds_what_has_little_arithmetic():
    point = roofline_rows.RooflinePoint(None, 2.0, 10.0, 141.3, 18.4)  # type: ignore[arg-type]
    assert point.roof_gflops == pytest.approx(36.8)
    light = architecture.build(
        Model(backbone="resnet18", input_size=(96, 128), deconv_channels=64, sigma_px=1)
    )
    one, eight = (roofline_rows.traffic_bytes(light, batch, 4) for batch in (1, 8))
    weights = 4 * (light.parameters - sum(2 * n.channels for stage in light.stages for n in stage.norms) - 17)
    assert eight - weights == 8 * (one - weights)


def test_every_point_of_the_figure_is_in_the_table_and_without_ceilings_there_is_neither(full_run: Path):
    run = read(full_run)
    plot = plot_.plot(run)
    assert plot is not None
    assert len(plot.tooltips) == len(roofline_rows.points(run))
    bare = replace(run, bench=None)
    assert (roofline.table(bare), plot_.plot(bare)) == (None, None)
