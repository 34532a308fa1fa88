"""What compare is given: figures of a run's rounds, and files of pytest-benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import run_folders

from bench.compare import rows, sides
from bench.compare.records import MACHINES_DIFFER, NOT_MEASURED, REGRESSED
from bench.run import results
from pose.errors import UserError
from twinpose import compare as command

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def test_a_figure_that_is_no_number_is_no_figure() -> None:
    bad = run_folders.result(run_folders.cell(), [20.0, 20.1])
    zero = results.Round(phases_s={}, count=1, wall_s=1, started="", number=3, value=0.0)
    cell = run_folders.result(run_folders.cell(), [], rounds=[*bad.rounds, zero])
    assert sides.round_values(cell) == (20.0, 20.1)


def benchmarks(tmp_path: Path, scale: float = 1.0, **machine: Any) -> Path:
    raw = json.loads((GOLDEN / "benchmarks.json").read_text())
    for row in raw["benchmarks"]:
        row["stats"]["data"] = [second * scale for second in row["stats"]["data"]]
    raw["machine_info"] |= machine
    path = tmp_path / f"benchmarks_{scale}.json"
    path.write_text(json.dumps(raw))
    return path


def test_a_benchmark_file_against_itself_is_equivalent() -> None:
    side = sides.read(GOLDEN / "benchmarks.json")
    assert list(side.measures) == [f"test_small.py::test_{name}" for name in ("sort", "sum[3]", "sum[5]")]
    both = rows.compare_sides(side, side)
    assert {row.ratio for row in both.rows} == {1.0}
    assert both.exit_code() == 0
    assert {(row.n_a, row.unit, row.kind) for row in both.rows} == {(sides.BLOCKS, "s", "time")}


def test_benchmark_files_have_the_same_verdicts_and_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, slower = GOLDEN / "benchmarks.json", benchmarks(tmp_path, 1.5)
    assert command.compare(a, slower, "5%") == REGRESSED
    said = capsys.readouterr().out
    assert "the rounds of one process" in said
    assert "3 regressed" in said
    assert command.compare(a, slower, "60%", "sum and not 5", as_json=True) == 0
    facts = json.loads(capsys.readouterr().out)
    [row] = facts["rows"]
    assert (row["id"], row["verdict"]) == ("test_small.py::test_sum[3]", "slower")
    other = benchmarks(tmp_path, 1.0, release="6.2.0", python_version="3.12.1")
    assert command.compare(a, other, "5%") == MACHINES_DIFFER
    with pytest.raises(UserError, match="no benchmark has 'decode'"):
        command.compare(a, other, "5%", "decode")


def test_rounds_are_taken_in_stretches_of_which_the_median_counts() -> None:
    seconds = [1.0] * 400
    seconds[7] = 50.0
    assert sides.in_blocks(seconds) == (1.0,) * sides.BLOCKS
    assert sides.in_blocks([3, 1, 2]) == (3.0, 1.0, 2.0)
    assert len(sides.in_blocks(list(range(1, 22)))) == sides.BLOCKS


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"benchmarks": [{}]}', '{"benchmarks": 3}', "x", "null"])
def test_another_file_is_no_benchmark_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(
        UserError, match=r"f\.json .* expected a file that 'pytest --benchmark-json=FILE' wrote"
    ):
        sides.read(path)


def test_a_benchmark_without_raw_data_cannot_be_compared(tmp_path: Path) -> None:
    raw = json.loads((GOLDEN / "benchmarks.json").read_text())
    del raw["benchmarks"][0]["stats"]["data"]
    path = tmp_path / "f.json"
    path.write_text(json.dumps(raw))
    both = rows.compare_sides(sides.read(GOLDEN / "benchmarks.json"), sides.read(path))
    assert both.rows[-1].reason == "no raw data; write it with --benchmark-json, or --benchmark-save-data"
    assert both.exit_code() == NOT_MEASURED
