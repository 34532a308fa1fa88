"""The network's size beside the reference's, by both ways of counting; what a runtime takes to start."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import bench_files
import pytest

from pose import architecture
from reports.run.read import read
from reports.tables import network, startup
from reports.tables.table import Table, to_csv


def rows(table: Table | None, key: str) -> dict[str, dict[str, str]]:
    assert table is not None
    return {row[key]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}


def test_the_published_way_of_counting_gives_the_published_figure():
    found = network.published_gflops(architecture.build(network.REFERENCE).stages)
    assert f"{found:.2f}" == "8.99", "which the papers print as 8.9"


def test_the_stages_add_up_and_stand_beside_the_reference(full_run: Path):
    found = rows(network.table(read(full_run)), "part")
    whole = found["resnet18 at 128x96, whole"]
    table = network.table(read(full_run))
    assert table is not None
    stages = [found[str(row.values[0])] for row in table.rows if row.group == "Stages"]
    for figure in ("parameters", "macs"):
        assert sum(int(row[figure]) for row in stages) == int(whole[figure])
    reference = found[network.REFERENCE_NAME]
    assert (reference["parameters"], reference["macs"]) == ("33999697", "5426380800")
    times = int(reference["macs"]) / int(whole["macs"])
    assert found["this network is smaller by"]["macs"] == f"{times:.2f}×"


def test_the_reference_itself_is_not_smaller_than_itself(full_run: Path):
    run = read(full_run)
    assert run.recipe is not None
    same = replace(run, recipe=run.recipe.model_copy(update={"model": network.REFERENCE}))
    assert rows(network.table(same), "part")["this network is smaller by"]["macs"] == ""
    assert network.table(replace(run, recipe=None)) is None


def test_what_a_runtime_takes_to_start_is_the_median_of_its_processes(full_run: Path):
    found = rows(startup.table(read(full_run)), "id")
    first = found[bench_files.FIRST]
    assert (float(first["import_s"]), float(first["load_s"]), first["compile_s"]) == (1.9, 0.4, "")
    assert float(first["first_s"]) == pytest.approx(0.1)
    assert first["artifact_bytes"] == ""
    assert int(first["peak_rss_bytes"]) > 6e8
    assert startup.table(replace(read(full_run), cells=())) is None
