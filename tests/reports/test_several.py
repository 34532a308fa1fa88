"""Several runs in one report: side by side on one machine, apart and loudly so on two."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import bench_files
import pytest
from commands import twinpose

from pose.errors import UserError
from reports.build import build_several

MakeRun = Callable[..., Path]
MADE_BY = "twinpose report a b --out both"


@pytest.fixture
def two(make_run: MakeRun, tmp_path: Path) -> tuple[Path, Path]:
    """Return two runs of one machine."""
    first, second = (make_run(name).rename(tmp_path / name) for name in ("a", "b"))
    return first, second


def elsewhere(run: Path) -> None:
    """Turn a run into one of another machine and another version of torch."""
    facts = json.loads((run / "run.json").read_text())
    facts["machine"]["cpu"]["model"] = "Other CPU"
    facts["machine"]["packages"]["torch"] = "2.15.0"
    (run / "run.json").write_text(json.dumps(facts))


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / "tables" / f"{name}.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_runs_of_one_machine_stand_in_columns_of_one_table(two: tuple[Path, Path], tmp_path: Path):
    page = build_several(two, tmp_path / "both", MADE_BY)
    text = page.read_text()
    assert "2 runs side by side" in text
    assert 'class="warning"' not in text
    assert [row["run"] for row in rows(page.parent, "runs")] == ["a", "b"]
    found = {row["id"]: row for row in rows(page.parent, "cells_1")}
    assert found[bench_files.FIRST]["a"] == found[bench_files.FIRST]["b"]
    assert found[bench_files.FIRST]["a"].startswith("21.4 ms [21.")
    assert "The runs differ in recipe: a in a and b in b." in text
    assert f"<code>{MADE_BY}</code>" in text


def test_runs_of_two_machines_are_apart_and_the_page_says_it_first(two: tuple[Path, Path], tmp_path: Path):
    elsewhere(two[1])
    page = build_several(two, tmp_path / "both", MADE_BY)
    text = page.read_text()
    warning = text.index("<strong>These runs are of 2 machines.</strong> A time or a rate compares under one")
    assert warning < text.index("<table>")
    assert "The runs differ in torch: 2.14.1 in a and 2.15.0 in b." in text
    assert "2 cores of Other CPU" in text
    assert set(rows(page.parent, "cells_1")[0]) == {"name", "a", "id"}
    assert set(rows(page.parent, "cells_2")[0]) == {"name", "b", "id"}


def test_what_became_of_a_cell_in_one_run_is_said_there(two: tuple[Path, Path], tmp_path: Path):
    cell = two[1] / "bench" / "cells" / f"{bench_files.FIRST}.json"
    raw = json.loads(cell.read_text())
    cell.write_text(json.dumps(raw | {"status": "oom", "reason": "too much", "stats": {}, "rounds": []}))
    (two[0] / "bench" / "cells" / f"{bench_files.INVALID}.json").unlink()
    text = build_several(two, tmp_path / "both", MADE_BY).read_text()
    assert "oom: too much" in text
    invalid = next(r for r in rows(tmp_path / "both", "cells_1") if r["id"] == bench_files.INVALID)
    assert (invalid["a"], invalid["b"][:7]) == ("", "17.2 ms")


def test_a_run_given_twice_is_the_users_mistake(two: tuple[Path, Path], tmp_path: Path):
    with pytest.raises(UserError, match="given twice"):
        build_several([two[0], two[0]], tmp_path / "both", MADE_BY)


def test_the_command_needs_a_folder_for_the_report_of_several(two: tuple[Path, Path]):
    done = twinpose("report", *two)
    assert done.code == 2
    assert done.error.startswith(
        "twinpose: 2 runs were given and no --out; expected a folder for their report"
    )
    assert twinpose("report", *two, "--out", two[0].parent / "both").code == 0


def test_runs_of_one_name_are_told_apart_by_their_paths(make_run: MakeRun, tmp_path: Path):
    paths = []
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        paths.append(make_run().rename(tmp_path / place / "demo"))
    page = build_several(paths, tmp_path / "both", MADE_BY)
    assert [row["run"] for row in rows(page.parent, "runs")] == [str(path) for path in paths]
