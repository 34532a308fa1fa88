"""Paired comparisons: what is ranked, which way round, in the table and in the forest plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_files
import msgspec
import numpy as np
import pytest

from bench.cells.scenarios import SCENARIOS
from bench.run.results import CellResult
from bench.statistics.validity import Validity
from bench.verdicts.comparisons import NOISE_FLOOR
from reports.answers import training
from reports.formats import ratio
from reports.plots import cells as cells_
from reports.plots import forest, glance
from reports.plots import plot as plot_
from reports.run.read import Run, read
from reports.tables import cells as tables_cells
from reports.tables import comparisons as comparisons_
from reports.tables import overview as overview_
from reports.tables.table import to_csv, to_markdown
from reports.words import comparisons
from reports.words.comparisons import NOT_RANKED

MakeRun = Callable[..., Path]
OPENVINO = "torch-openvino-ir-fp32-cpu-b1-t2-glibc-latency"
EAGER = "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency"
GRAPH = "tf-tf-graph-fp32-cpu-b1-t2-glibc-latency"
TWINS_ALONE = {"train", "data"}
"""Scenarios whose lanes have the two twins and no other runtime."""


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return read(full_run)


@pytest.fixture(scope="module")
def stored(full_run: Path) -> list[dict[str, Any]]:
    return json.loads((full_run / "bench" / "comparisons.json").read_text())["comparisons"]


def parsed(run: Run) -> list[dict[str, str]]:
    table = comparisons_.comparisons(run)
    assert table is not None
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def with_cell(run: Run, cell_id: str, **changes: Any) -> Run:
    cells = (msgspec.structs.replace(c, **changes) if c.id == cell_id else c for c in run.cells)
    return replace(run, cells=tuple(cells))


def test_every_comparison_has_a_row_whatever_became_of_it(run: Run, stored: list[dict[str, Any]]):
    rows = {(row["a"], row["b"]): row for row in parsed(run)}
    assert len(rows) == len(stored)
    for one in stored:
        if one["scenario"] in TWINS_ALONE:
            continue
        row = rows[one["a"], one["b"]]
        assert row["verdict"] == (one["verdict"] or NOT_RANKED)
        assert row["lane"] == one["lane"]
        assert bool(row["speedup"]) == (one["verdict"] is not None)
    kinds = {row["verdict"] for row in rows.values()}
    assert kinds == {"faster", "slower", "equivalent", "inconclusive", NOT_RANKED}


def test_an_undecided_pair_whose_own_interval_leaves_out_1_says_why(run: Run):
    assert run.comparisons is not None
    one = next(one for one in run.comparisons if (one.a, one.b) == (OPENVINO, GRAPH))
    facts = {"reason": None, "verdict": "inconclusive", "p": 0.01, "p_holm": 0.2}
    clear = msgspec.structs.replace(one, speedup=1.1, speedup_interval=(1.02, 1.18), **facts)
    [said] = parsed(replace(run, comparisons=(clear,)))
    assert said["verdict"] == "inconclusive"
    assert comparisons.ALONE in said["reason"]
    table = comparisons_.comparisons(replace(run, comparisons=(clear,)))
    assert table is not None
    assert comparisons.ALONE in table.reasons
    holds = msgspec.structs.replace(clear, speedup_interval=(0.99, 1.18))
    decided = msgspec.structs.replace(clear, verdict="faster", p_holm=0.04)
    for other in (holds, decided):
        [said] = parsed(replace(run, comparisons=(other,)))
        assert comparisons.ALONE not in said["reason"]


def test_the_rule_of_the_first_look_is_explained_where_a_cell_was_measured_by_it(run: Run):
    fixed = comparisons_.comparisons(replace(run, cells=tuple(_looked(one, None) for one in run.cells)))
    looked = comparisons_.comparisons(replace(run, cells=tuple(_looked(one, 4) for one in run.cells)))
    assert fixed is not None
    assert looked is not None
    assert "first look" not in fixed.note
    assert "the t distribution of the first look (3 degrees of freedom)" in looked.note


def _looked(one: CellResult, first_look: int | None) -> CellResult:
    return msgspec.structs.replace(one, first_look=first_look)


def test_a_speed_up_says_how_many_times_a_is_faster_for_times_and_for_rates(
    run: Run, stored: list[dict[str, Any]]
):
    rows = {(row["a"], row["b"]): row for row in parsed(run)}
    for one in (one for one in stored if one["ratio"] is not None and one["scenario"] not in TWINS_ALONE):
        row, less = rows[one["a"], one["b"]], SCENARIOS[one["scenario"]].less_is_faster
        assert float(row["speedup"]) == pytest.approx(1 / one["ratio"] if less else one["ratio"])
        assert float(row["ratio"]) == one["ratio"]
        if row["verdict"] in {"faster", "slower"}:
            assert (float(row["speedup"]) > 1) == (row["verdict"] == "faster")


def test_of_the_two_twins_alone_the_faster_is_a_in_text_table_and_figures(run: Run):
    [pair] = [one for one in comparisons.pairs(run) if one.found.scenario == "train"]
    [row] = [one for one in parsed(run) if one["scenario"] == "train"]
    assert pair.speedup is not None
    assert pair.names == (row["a_name"], row["b_name"]) == ("PyTorch eager", "TensorFlow graph")
    assert (float(row["speedup"]), row["verdict"]) == (pair.speedup[0], "faster")
    assert float(row["speedup_low"]) < float(row["speedup"]) < float(row["speedup_high"])
    assert float(row["ratio"]) == pytest.approx(pair.speedup[0])
    assert training.trains_faster(run).figures.startswith(ratio(pair.speedup))
    for plot in (glance.plot(run), forest.plot(run)):
        assert plot is not None
        [tip] = [said for gid, said in plot.tooltips.items() if gid.endswith("train") and "×" in said]
        assert ratio(pair.speedup) in tip


def test_an_invalid_cell_is_never_ranked_whatever_was_decided_before(run: Run):
    spoilt = with_cell(run, OPENVINO, validity=Validity("INVALID", ["IQR is 40% of the median"]))
    touched = [row for row in parsed(spoilt) if OPENVINO in {row["a"], row["b"]}]
    assert len(touched) > 3
    assert {row["verdict"] for row in touched} == {NOT_RANKED}
    assert {row["speedup"] + row["p_holm"] + row["ratio"] for row in touched} == {""}
    ranked = next(row for row in touched if row["b"] == GRAPH)
    assert ranked["reason"] == "PyTorch on OpenVINO is INVALID"


def test_a_comparison_of_a_cell_that_is_gone_or_failed_is_not_ranked(run: Run):
    gone = replace(run, cells=tuple(cell for cell in run.cells if cell.id != OPENVINO))
    row = next(row for row in parsed(gone) if row["a"] == OPENVINO)
    assert (row["a_name"], row["verdict"]) == (OPENVINO, NOT_RANKED)
    assert row["reason"] == f"the run has no cell {OPENVINO} any more"
    failed = with_cell(run, OPENVINO, status="oom", reason="too much")
    assert {row["reason"] for row in parsed(failed) if row["a"] == OPENVINO} >= {"PyTorch on OpenVINO: oom"}


def test_what_is_not_ranked_stands_last_in_its_lane_and_says_why_by_name(run: Run):
    table = comparisons_.comparisons(run)
    assert table is not None
    lane = [row for row in table.rows if row.group.startswith("Throughput") and "compiled" in row.group]
    assert [row.muted for row in lane] == [False, False, True, True, True]
    markdown = to_markdown(table)
    assert "PyTorch compiled is INVALID: IQR is 31.0% of the median" in markdown
    assert "PyTorch compiled is timeout: no answer after 300 s" in markdown
    assert bench_files.INVALID not in markdown


def test_lanes_and_sets_head_the_rows_and_the_largest_speed_up_comes_first(run: Run):
    table = comparisons_.comparisons(run)
    assert table is not None
    headings = list(dict.fromkeys(row.group for row in table.rows))
    assert headings[:3] == [
        f"Latency, CPU, strict-fp32, batch 1, 2 threads, glibc allocator: {name}"
        for name in ("as shipped", "compiled", "noise floor")
    ]
    first = [float(row["speedup"]) for row in parsed(run)[:10]]
    assert first == sorted(first, reverse=True)


def test_an_inconclusive_comparison_says_what_is_not_shown(run: Run):
    row = next(row for row in parsed(run) if row["verdict"] == "inconclusive")
    assert "shown is neither a difference (p Holm 0." in row["reason"]
    assert bench_files.NOISY in {row["a"], row["b"]}


def test_a_comparison_of_an_uncertified_cell_says_so(run: Run):
    bare = with_cell(run, OPENVINO, certificate_id=None)
    row = next(row for row in parsed(bare) if row["a"] == OPENVINO)
    assert row["reason"] == "PyTorch on OpenVINO: timed without a certificate (--uncertified)"


def test_a_doubt_that_both_cells_share_is_said_once_of_neither_by_name(run: Run):
    bare = with_cell(with_cell(run, OPENVINO, certificate_id=None), GRAPH, certificate_id=None)
    pair = next(pair for pair in comparisons.pairs(bare) if (pair.found.a, pair.found.b) == (OPENVINO, GRAPH))
    assert pair.reasons == ("timed without a certificate (--uncertified)",)
    table = comparisons_.comparisons(bare)
    assert table is not None
    assert len([reason for reason in table.reasons if "--uncertified" in reason]) <= 3


def test_the_noise_floor_is_shown_and_not_counted(run: Run, stored: list[dict[str, Any]]):
    found = comparisons.pairs(run)
    assert sum(comparisons.counts(found).values()) == len(stored) - 1
    floor = next(pair for pair in found if pair.found.set == NOISE_FLOOR)
    assert floor.names == ("PyTorch eager again", "PyTorch eager")


def test_the_forest_plot_shows_every_pair_and_the_whole_of_every_interval(run: Run):
    plot = forest.plot(run)
    assert plot is not None
    found = comparisons.pairs(run)
    assert len(plot.tooltips) == len(found)
    low, high = plot.figure.axes[0].get_xlim()
    for pair in found:
        if pair.speedup:
            assert low < pair.speedup[1] <= pair.speedup[2] < high
    svg = plot_.draw(plot).svg
    assert all(f'<g id="{gid}"><title>' in svg for gid in plot.tooltips)
    assert svg.count(">not ranked<") == comparisons.counts(found)[NOT_RANKED]


def floors_drawn(run: Run) -> dict[str, np.ndarray]:
    """Return by lane the dashed lines of the forest plot, (5, 2): an end, a gap, the other end."""
    plot = forest.plot(run)
    assert plot is not None
    lines = {str(line.get_gid()): line for line in plot.figure.axes[0].lines}
    return {
        gid.removeprefix("floor-"): np.column_stack([line.get_xdata(), line.get_ydata()])
        for gid, line in lines.items()
        if gid.startswith("floor-")
    }


def test_a_noise_floor_stands_beside_the_rows_of_the_lane_that_measured_it_alone(run: Run):
    [pair] = [one for one in comparisons.pairs(run) if one.found.set == NOISE_FLOOR]
    [(lane, line)] = floors_drawn(run).items()
    assert lane == pair.found.lane
    assert pair.speedup is not None
    assert (line[0, 0], line[-1, 0]) == pair.speedup[1:]
    rows, _, _ = forest._places(comparisons.pairs(run))
    low, high = np.nanmin(line[:, 1]), np.nanmax(line[:, 1])
    assert {one.found.lane for y, one in rows if low <= y <= high} == {lane}
    assert all(low <= y <= high for y, one in rows if one.found.lane == lane)
    plot = forest.plot(run)
    assert plot is not None
    assert "±2 %" in plot.note
    assert plot.note.endswith(
        "in Latency, CPU, strict-fp32, batch 1, 2 threads, glibc allocator. Other lanes measured none."
    )


def test_a_run_without_an_a_a_pair_draws_no_noise_floor_and_says_so(run: Run):
    without = replace(run, comparisons=tuple(c for c in run.comparisons or () if c.set != NOISE_FLOOR))
    assert floors_drawn(without) == {}
    plot = forest.plot(without)
    assert plot is not None
    assert "no noise floor: no cell was measured against itself" in plot.note
    spoilt = with_cell(run, f"{EAGER}-again", validity=Validity("INVALID", ["IQR is 40% of the median"]))
    assert floors_drawn(spoilt) == {}
    plot = forest.plot(spoilt)
    assert plot is not None
    assert "no noise floor: its A/A pair is not ranked" in plot.note


def test_an_axis_of_equal_cells_is_no_magnifying_glass(run: Run):
    assert run.comparisons is not None
    equal = msgspec.structs.replace(
        next(one for one in run.comparisons if (one.a, one.b) == (OPENVINO, GRAPH)),
        speedup=1.0,
        speedup_interval=(0.9999, 1.0001),
        verdict="equivalent",
    )
    plot = forest.plot(replace(run, comparisons=(equal,)))
    assert plot is not None
    low, high = plot.figure.axes[0].get_xlim()
    assert high / low >= forest.SMALLEST_REACH**2


def test_without_comparisons_there_is_neither_table_nor_plot(run: Run):
    bare = replace(run, comparisons=None)
    assert comparisons_.comparisons(bare) is None
    assert forest.plot(bare) is None


def test_a_second_arm_is_in_the_table_of_cells_and_in_no_overview(make_run: MakeRun):
    run = read(make_run())
    again = f"{bench_files.FIRST}-again"
    cells = tables_cells.every_cell(run)
    overview = overview_.overview(run)
    assert cells is not None
    assert overview is not None
    assert again in to_csv(cells)
    latency = cells_.by_runtime(run, "latency")
    assert latency is not None
    assert all(again not in gid for gid in latency.tooltips)
    assert len({row.values[:8] for row in overview.rows}) == len(overview.rows)
