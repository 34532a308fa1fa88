"""A run as data frames: documented columns, NA for what is absent, and the lines of docs/notebook.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest

from pose.errors import UserError
from reports import frames
from reports.run.read import Run
from reports.tables import cells as tables_cells
from reports.tables.table import to_csv

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notebook.md"


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return frames.read(full_run)


def test_there_is_a_row_for_every_cell_and_na_where_nothing_was_measured(run: Run) -> None:
    cells = frames.cells(run).set_index("id")
    assert set(cells.index) == {cell.id for cell in run.cells}
    failed = cells[cells.status != "ok"]
    assert len(failed) > 0
    assert failed.reason.notna().all()
    assert failed.latency_p50_ms.isna().all()
    timed = cells[(cells.scenario == "latency") & (cells.status == "ok")]
    assert timed.latency_p50_ms.notna().all()
    assert (timed.interval_low <= timed.interval_high).all()


def test_a_figure_of_the_frame_is_that_of_the_table(run: Run, tmp_path: Path) -> None:
    table = tables_cells.every_cell(run)
    assert table is not None
    (tmp_path / "cells.csv").write_text(to_csv(table))
    told = pd.read_csv(tmp_path / "cells.csv").set_index("id")
    own = frames.cells(run).set_index("id")
    for name in ("latency_p50_ms", "rate_per_s", "AP", "interval_high", "rounds"):
        pd.testing.assert_series_equal(
            own[name].astype(float), told[name].astype(float), check_index_type=False
        )


def test_there_is_a_row_for_every_round_and_one_for_a_cell_without_any(run: Run) -> None:
    rounds = frames.rounds(run)
    assert len(rounds) == sum(max(len(cell.rounds), 1) for cell in run.cells)
    assert set(rounds.id) == {cell.id for cell in run.cells}
    assert str(rounds.started.dtype) == "datetime64[us, UTC]"


def test_a_comparison_that_is_not_ranked_has_a_reason_in_place_of_figures(run: Run) -> None:
    pairs = frames.comparisons(run)
    unranked = pairs[pairs.verdict == "not ranked"]
    assert len(unranked) > 0
    assert unranked.speedup.isna().all()
    assert unranked.reason.notna().all()
    ranked = pairs[pairs.verdict != "not ranked"]
    assert ranked.speedup.between(ranked.speedup_low, ranked.speedup_high).all()


def test_there_is_a_row_for_every_epoch_of_each_twin(run: Run) -> None:
    epochs = frames.epochs(run)
    assert epochs.groupby("twin").size().to_dict() == {"tf": 12, "torch": 12}
    assert epochs.ap.max() == max(line.ap or 0 for one in run.training.values() for line in one.epochs)


def test_a_run_without_a_part_gives_an_empty_frame_of_the_same_columns(run: Run) -> None:
    bare = replace(run, cells=(), comparisons=None, training={})
    for make in (frames.cells, frames.rounds, frames.comparisons, frames.epochs):
        assert make(bare).empty
    assert list(frames.cells(bare)) == list(frames.cells(run))
    assert list(frames.comparisons(bare)) == list(frames.comparisons(run))


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run folder"):
        frames.read(tmp_path)


def test_the_page_names_every_column_and_what_it_holds() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    every = frames.CELLS | frames.COMPARISONS | frames.EPOCHS  # type: ignore[operator]
    assert told == {name: says for name, (_, says) in every.items()}


def test_the_lines_of_the_page_run(
    make_run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    [lines] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "runs").mkdir()
    make_run().rename(tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    with mpl.rc_context({"backend": "agg"}):
        exec(compile(lines, str(PAGE), "exec"), {})
    assert "PyTorch eager" in capsys.readouterr().out
