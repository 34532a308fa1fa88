"""Floors under a run's figures: what CI fails for, whatever was there before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import run_folders
from commands import Say, refuses

from bench.compare import floors, rows, sides
from bench.compare.records import FLOOR_MISSED, MACHINES_DIFFER, REGRESSED
from bench.run.results import CellResult
from bench.statistics.validity import Validity

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LATENCY, PIPELINE = run_folders.cell(), run_folders.cell("pipeline")
THROUGHPUT, ACCURACY = run_folders.cell("throughput", batch=8), run_folders.cell("accuracy", batch=8)


def benched(folder: Path, **patch: Any) -> Path:
    """Write a run whose latency is 20 ms, whose pipeline 30, with 100 images a second and an AP of 0.36."""
    figures = {LATENCY: [20.0] * 3, PIPELINE: [30.0] * 3, THROUGHPUT: [100.0] * 3, ACCURACY: [0.36]}
    results: list[CellResult] = [run_folders.result(cell, values) for cell, values in figures.items()]
    return run_folders.write(folder, results, **patch)


@pytest.mark.parametrize(
    ("option", "limit", "under"),
    [
        ("--max-ms", 30, []),
        ("--max-ms", 29.9, [PIPELINE]),
        ("--max-ms", 10, [LATENCY, PIPELINE]),
        ("--min-images-per-s", 100, []),
        ("--min-images-per-s", 100.1, [THROUGHPUT]),
        ("--min-ap", 0.36, []),
        ("--min-ap", 0.37, [ACCURACY]),
    ],
)
def test_a_floor_is_for_the_cells_of_its_unit(
    tmp_path: Path, say: Say, option: str, limit: float, under: list[Any]
) -> None:
    ended = say("compare", benched(tmp_path / "run"), option, limit)
    assert ended.code == (FLOOR_MISSED if under else 0)
    missed = [line for line in ended.out.splitlines() if option in line]
    assert [line.split()[0] for line in missed] == [cell.id for cell in under]


def test_each_miss_is_a_line_with_the_figure_and_the_floor(tmp_path: Path, say: Say) -> None:
    run = benched(tmp_path / "run")
    ended = say("compare", run, "--max-ms", 25, "--min-ap", 0.5)
    assert ended.out.splitlines() == [
        str(run),
        f"{ACCURACY.id}  0.36 AP, --min-ap 0.5",
        f"{PIPELINE.id}  30 ms, --max-ms 25",
        "floors: 1 met, 2 missed, 2 of uncertified cells",
    ]
    assert say("compare", run, "--max-ms", 25, "-k", "latency").code == 0
    facts = json.loads(say("compare", run, "--max-ms", 25, "--json").out)
    assert (facts["exit_code"], [one["met"] for one in facts["floors"]]) == (1, [True, False])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-k", "latency", "--min-ap", 0.3], "--min-ap 0.3 is for no cell: none of the 1 selected of "),
        (["--max-ms", "nan"], "--max-ms nan is no floor; expected a number"),
        ([], "expected a second run, or a floor such as --max-ms 30"),
        (["--max-ms", 30, "--fail-over", "5%"], "are for two runs; "),
        (["--max-ms", 30, "--json", "--markdown"], "expected one of them"),
    ],
)
def test_what_would_check_nothing_is_a_mistake(tmp_path: Path, words: list[Any], why: str) -> None:
    assert why in refuses("compare", benched(tmp_path / "run"), *words)


def test_a_floor_is_for_no_benchmark() -> None:
    assert "is for no cell" in refuses("compare", GOLDEN / "benchmarks.json", "--max-ms", 3)


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"status": "failed", "reason": "it crashed"}, "failed: it crashed"),
        ({"validity": Validity("INVALID", ["one thread did the work"])}, "INVALID: one thread did the work"),
    ],
)
def test_a_cell_without_a_figure_meets_no_floor(
    tmp_path: Path, say: Say, patch: dict[str, Any], reason: str
) -> None:
    run = run_folders.write(tmp_path / "run", [run_folders.result(LATENCY, [20.0] * 3, **patch)])
    ended = say("compare", run, "--max-ms", 30)
    assert ended.code == FLOOR_MISSED
    assert f"{LATENCY.id}  no figure, --max-ms 30 ({reason})\n" in ended.out


def test_what_a_machine_cannot_run_is_under_no_floor(tmp_path: Path) -> None:
    """Nor is the second arm of an A/A pair, which is the first once more."""
    results = [
        run_folders.result(LATENCY, [20.0] * 3),
        run_folders.result(PIPELINE, [], status="unsupported", reason="no bf16"),
        run_folders.result(replace(LATENCY, replica=1), [40.0] * 3),
    ]
    side = sides.read(run_folders.write(tmp_path / "run", results))
    [one] = floors.check(side, {floors.MAX_MS: 30}, set(side.measures))
    assert (one.id, one.value, one.met) == (LATENCY.id, pytest.approx(20), True)


def test_of_two_runs_the_floor_is_the_later_ones_and_comes_first(tmp_path: Path) -> None:
    """A job that forgives a regression, or another machine, does not forgive a floor."""
    a = sides.read(benched(tmp_path / "a"))
    slow = [run_folders.result(LATENCY, [40.0, 40.1, 40.2])]
    machine = run_folders.MACHINE | {"kernel": "6.2.0"}
    other = sides.read(run_folders.write(tmp_path / "b", slow, machine=machine))
    limits = {floors.MAX_MS: 30.0}
    for b, without in ((a, 0), (other, MACHINES_DIFFER)):
        assert rows.compare_sides(a, b, only="latency").exit_code() == without
    assert rows.compare_sides(a, other, only="latency").exit_code(across_machines=True) == REGRESSED
    both = rows.compare_sides(a, other, only="latency", limits=limits)
    assert [one.id for one in floors.missed(both.floors)] == [LATENCY.id]
    assert both.exit_code() == both.exit_code(across_machines=True) == FLOOR_MISSED
    assert rows.compare_sides(other, a, only="latency", limits=limits).exit_code() == MACHINES_DIFFER


def test_markdown_has_its_summary_first_and_one_row_a_cell(tmp_path: Path, say: Say) -> None:
    a = benched(tmp_path / "a")
    results = [run_folders.result(LATENCY, [40.0] * 3), run_folders.result(ACCURACY, [0.36])]
    bad = run_folders.result(THROUGHPUT, [], status="failed", reason="a | b <c> *d*")
    b = run_folders.write(tmp_path / "b", [*results, bad])
    ended = say("compare", a, b, "--markdown", "--max-ms", 30)
    assert ended.code == FLOOR_MISSED
    lines = ended.out.splitlines()
    found, _, checked = lines[0].partition(", floors: ")
    assert found == "### 1 regressed, 1 equal, 2 not measured, 1 slower"
    assert checked == "0 met, 1 missed, 1 of uncertified cells"
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table[:3]}) == 1
    [row] = [line for line in table if LATENCY.id in line]
    assert row.startswith(f"| {LATENCY.id} | 20 ms | 40 ms | 2.000 |")
    assert "slower, REGRESSED" in row
    assert row.endswith("| 1 |"), "a reason stands below the table, under its number"
    why = rows.compare_sides(sides.read(a), sides.read(b)).rows[0].reason
    assert f"1. {why}" in lines
    assert rf"- {THROUGHPUT.id}  failed: a \| b &lt;c> \*d\*" in lines
    assert lines[-3:] == ["**floors missed:**", "", f"- {LATENCY.id}  40 ms, --max-ms 30"]
