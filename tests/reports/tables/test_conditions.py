"""Conditions of the rounds, parts of a query and of a step, and what the load generator says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import bench_files
import msgspec
import pytest

from bench.run.results import CellResult
from reports.formats import milliseconds
from reports.plots import breakdown
from reports.plots import plot as plot_
from reports.run.read import Run, read
from reports.tables import breakdown as breakdown_
from reports.tables import cells as cells_
from reports.tables import conditions, mlperf
from reports.tables import overview as overview_
from reports.tables.table import Table, to_csv, to_markdown
from reports.words import cells
from reports.words.breakdown import PIPELINE, TRAIN

MakeRun = Callable[..., Path]
PIPELINE_CELL = "torch-openvino-ir-fp32-cpu-b1-t2-glibc-pipeline"
TRAIN_CELL = "torch-torch-eager-fp32-cpu-b16-t2-glibc-train"


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return read(full_run)


def parsed(table: Table | None) -> dict[str, dict[str, str]]:
    assert table is not None
    return {row["id"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}


def cell(run: Run, cell_id: str) -> CellResult:
    return next(one for one in run.cells if one.id == cell_id)


def with_stats(run: Run, cell_id: str, **stats: Any) -> Run:
    changed = msgspec.structs.replace(cell(run, cell_id), stats={**cell(run, cell_id).stats, **stats})
    return replace(run, cells=tuple(changed if one.id == cell_id else one for one in run.cells))


def with_rounds(run: Run, cell_id: str, **changes: Any) -> Run:
    rounds = [msgspec.structs.replace(one, **changes) for one in cell(run, cell_id).rounds]
    changed = msgspec.structs.replace(cell(run, cell_id), rounds=rounds)
    return replace(run, cells=tuple(changed if one.id == cell_id else one for one in run.cells))


def test_doubts_that_differ_in_figures_alone_are_one(run: Run):
    row = parsed(conditions.table(run))[bench_files.FIRST]
    assert row["doubts"] == (
        "the hypervisor took 2.1% of the processors' time (2 of 14 rounds, this in round 3)"
    )
    assert (row["rounds"], row["doubtful_rounds"], row["cores_used"]) == ("14", "2", "1.96")


def test_a_round_without_conditions_is_no_round_without_doubts(run: Run):
    bare = with_rounds(run, bench_files.FIRST, conditions={})
    row = parsed(conditions.table(bare))[bench_files.FIRST]
    assert row["doubtful_rounds"] == row["doubts"] == row["cores_used"] == ""
    assert "no round of this cell recorded its conditions" in to_markdown(conditions.table(bare))  # type: ignore[arg-type]
    calm = with_rounds(run, bench_files.FIRST, conditions={"doubts": [], "cores_used": 2.0})
    row = parsed(conditions.table(calm))[bench_files.FIRST]
    assert (row["doubtful_rounds"], row["doubts"]) == ("0", "none")


def test_energy_without_a_counter_is_null_and_never_zero(run: Run):
    table = conditions.table(run)
    assert table is not None
    assert conditions.NO_ENERGY in table.note
    assert parsed(table)[bench_files.FIRST]["energy_mj_per_image"] == ""
    read_off = with_rounds(run, bench_files.FIRST, peak_device_bytes=2**30)
    first = cell(read_off, bench_files.FIRST)
    known = msgspec.structs.replace(first, stats=first.stats | {"energy_mj_per_image": 12.5, "energy_j": 3.0})
    read_off = replace(read_off, cells=tuple(known if c.id == first.id else c for c in read_off.cells))
    row = parsed(conditions.table(read_off))[bench_files.FIRST]
    assert (row["energy_mj_per_image"], row["device_memory_bytes"]) == ("12.5", str(2**30))
    assert parsed(cells_.every_cell(read_off))[bench_files.FIRST]["energy_mj_per_image"] == "12.5"


def test_the_order_of_the_rounds_has_its_source(run: Run):
    table = conditions.table(run)
    assert table is not None
    assert "bench/passes.jsonl" in table.source
    assert "random order" in table.note
    unordered = conditions.table(replace(run, passes=()))
    assert unordered is not None
    assert "not recorded" in unordered.note
    assert "passes.jsonl" not in unordered.source


def test_a_cell_shows_rounds_done_and_wanted_and_more_where_the_rule_asked(run: Run):
    rows = parsed(cells_.every_cell(run))
    assert rows[bench_files.FIRST]["rounds_said"] == "14/10"
    assert rows[PIPELINE_CELL]["rounds_said"] == "10/10"
    failed = rows["tf-tf-compiled-fp32-cpu-b1-t2-glibc-latency"]
    assert (failed["rounds"], failed["latency_p50_ms"], failed["peak_memory_bytes"]) == ("0", "", "")


def test_a_percentile_of_too_few_queries_is_null_with_the_reason(run: Run):
    table = cells_.every_cell(run)
    assert table is not None
    assert parsed(table)[PIPELINE_CELL]["latency_p99_ms"] == ""
    assert "450 queries, needs 662" in table.reasons
    assert float(parsed(table)[bench_files.FIRST]["latency_p99_ms"]) == pytest.approx(21.4 * 1.31)


def test_every_scenario_has_its_value_in_its_own_unit(run: Run):
    rows = parsed(cells_.every_cell(run))
    train, data = rows[TRAIN_CELL], rows[TRAIN_CELL.replace("train", "data")]
    assert (float(train["steps_per_s"]), train["images_per_s"]) == (pytest.approx(74.0 / 21.4), "")
    assert (float(data["samples_per_s"]), data["AP"]) == (212.0, "")
    assert float(data["interval_low"]) < float(data["samples_per_s"]) < float(data["interval_high"])
    overview = overview_.overview(run)
    assert overview is not None
    titles = [column.title for column in overview.columns]
    assert {"Pipeline p50 ms, batch 1", "Steps/s, batch 16", "Samples/s, batch 16"} <= set(titles)


def test_a_column_that_no_cell_fills_is_in_the_csv_alone(run: Run):
    table = cells_.every_cell(run)
    assert table is not None
    hidden = {column.key for column in table.columns if column.only_csv}
    assert {"peak_device_bytes", "energy_mj_per_image"} <= hidden
    on_gpu = cells_.every_cell(with_rounds(run, bench_files.FIRST, peak_device_bytes=2**30))
    assert on_gpu is not None
    assert "peak_device_bytes" not in {column.key for column in on_gpu.columns if column.only_csv}


def test_a_cell_with_one_round_has_no_interval_and_says_why(run: Run):
    one = msgspec.structs.replace(
        cell(run, bench_files.FIRST), rounds=cell(run, bench_files.FIRST).rounds[:1]
    )
    bare = msgspec.structs.replace(one, stats={})
    assert cells.interval(bare) == "1 round: an interval over rounds needs two"


def test_a_query_is_broken_down_by_stage_in_order(run: Run):
    table = breakdown_.table(run, PIPELINE)
    assert table is not None
    titles = [column.title for column in table.columns if not column.only_csv]
    assert titles == ["Cell", "Decode ms", "Warp ms", "Network ms", "Keypoints ms", "Together ms"]
    row = parsed(table)[PIPELINE_CELL]
    assert float(row["whole_ms"]) == pytest.approx(12.3 + 6.1)


def test_the_whole_of_a_step_is_no_part_of_it(run: Run):
    row = parsed(breakdown_.table(run, TRAIN))[TRAIN_CELL]
    assert "step_ms" not in row
    assert "to_device_ms" not in row
    phases = [float(row[f"{name}_ms"]) for name in ("forward", "backward", "optimizer")]
    figure_ms = 1e3 / cell(run, TRAIN_CELL).stats["value"]
    assert float(row["whole_ms"]) == pytest.approx(sum(phases)) == pytest.approx(figure_ms)


def test_parts_of_one_round_add_up_to_the_figure_of_all_and_say_so(run: Run):
    measured = cell(run, TRAIN_CELL)
    phases = {"to_device": None, "forward": 30.0, "backward": 50.0, "optimizer": 20.0, "step": 100.0}
    first, *others = measured.rounds
    rounds = [
        msgspec.structs.replace(first, stats={"phases_ms": phases}),
        *(msgspec.structs.replace(one, stats={}) for one in (*others, first)),
    ]
    stats = measured.stats | {"value": 8.0, "phases_ms": phases}
    changed = msgspec.structs.replace(measured, rounds=rounds, stats=stats)
    told = replace(run, cells=tuple(changed if one.id == TRAIN_CELL else one for one in run.cells))
    table = breakdown_.table(told, TRAIN)
    row = parsed(table)[TRAIN_CELL]
    shown = [float(row[f"{name}_ms"]) for name in ("forward", "backward", "optimizer", "whole")]
    assert shown == pytest.approx([37.5, 62.5, 25.0, 1000 / 8.0])
    assert f"1 of {len(rounds)} rounds" in str(table and table.note)


def test_bars_end_where_the_parts_do_and_a_negative_part_has_no_width(run: Run):
    plot = breakdown.plot(run, PIPELINE)
    assert plot is not None
    ends = [patch.get_x() + patch.get_width() for patch in plot.figure.axes[0].patches]
    assert max(ends) == pytest.approx(24.9 + 6.1)
    phases = {"forward": 3.0, "backward": 6.0, "optimizer": -0.1, "step": 8.9}
    odd = breakdown.plot(with_stats(run, TRAIN_CELL, phases_ms=phases), TRAIN)
    assert odd is not None
    assert min(patch.get_width() for patch in odd.figure.axes[0].patches) == 0
    said = odd.tooltips[f"part-2-{TRAIN_CELL}"]
    figure_ms, step_ms = 1e3 / cell(run, TRAIN_CELL).stats["value"], 8.9
    assert said == f"{TRAIN_CELL}: optimizer {milliseconds(-0.1 * figure_ms / step_ms)} ms"
    assert f"<title>{said}</title>" in plot_.draw(odd).svg


def test_cells_without_parts_give_neither_table_nor_plot(run: Run):
    without = replace(run, cells=tuple(one for one in run.cells if one.axes.scenario == "latency"))
    assert breakdown_.tables(without) == breakdown.plots(without) == []


def test_what_the_load_generator_says_has_a_table_of_its_own(make_run: MakeRun):
    path = make_run()
    assert mlperf.table(read(path)) is None
    tests = [
        {
            "scenario": "SingleStream",
            "result_valid": True,
            "latency_ns": {"p50": 21_400_000, "p90": 23_000_000, "p99": None},
            "nulls": {"p99": "450 queries, needs 662"},
            "qps": 46.2,
            "reasons": [],
            "warnings": ["short"],
        },
        {"scenario": "Server", "result_valid": False, "qps": 12.5, "reasons": ["the p99 is above the bound"]},
    ]
    folder = path / "bench" / "mlperf"
    folder.mkdir()
    good = {"id": bench_files.FIRST, "status": "ok", "scenarios": tests, "claim": "not an MLPerf result"}
    elsewhere = replace(cell(read(path), PIPELINE_CELL).axes, threads=1)
    bad = {
        "axes": asdict(elsewhere),
        "id": PIPELINE_CELL,
        "status": "unsupported",
        "reason": "no loadgen here",
        "scenarios": [],
    }
    for row in (good, bad):
        (folder / f"{row['id']}.json").write_text(json.dumps(row))
    table = mlperf.table(read(path))
    assert table is not None
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    by_test = {(row["id"], row["scenario"]): row for row in rows}
    single = by_test[bench_files.FIRST, "SingleStream"]
    assert (single["p50_ms"], single["p99_ms"], single["result"]) == ("21.4", "", "VALID")
    server = by_test[bench_files.FIRST, "Server"]
    assert single["parity"] == server["parity"] == "uncertified"
    assert "timed without a certificate" in to_markdown(table)
    assert (server["result"], server["doubts"]) == ("INVALID", "the p99 is above the bound")
    assert by_test[PIPELINE_CELL, ""]["result"] == "unsupported"
    assert by_test[PIPELINE_CELL, ""]["parity"] == ""
    carried = cell(read(path), bench_files.FIRST)
    certified = good | {"axes": asdict(carried.axes), "artifact_sha256": carried.artifact_sha256}
    certified |= {"certificate_id": carried.certificate_id}
    (folder / f"{good['id']}.json").write_text(json.dumps(certified))
    proven = mlperf.table(read(path))
    assert proven is not None
    by_id = {row["id"]: row for row in csv.DictReader(io.StringIO(to_csv(proven)))}
    assert by_id[bench_files.FIRST]["parity"] == "certified"
    assert "Not an MLPerf result." in table.note
    assert "no loadgen here" in to_markdown(table)
    assert "CPU, strict-fp32, 1 thread, glibc allocator" in {row.group for row in table.rows}
