"""A run as Parquet: what goes in comes out, flat and typed."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import run_folders
from pyarrow import parquet

from bench.run import results
from bench.statistics.validity import Validity
from pose.errors import UserError
from reports import parquet as parquet_
from reports.frames.round_rows import CELL, ROUND

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def written(tmp_path: Path) -> Path:
    latency, cuda = run_folders.cell(), run_folders.cell(device="cuda")
    flagged = Validity("FLAGGED", ["IQR is 12.0% of the median", "late"])
    stats = {
        "latency_ms": {"p50": 2.5, "p99": None},
        "interval": [2.4, 2.6],
        "nulls": {"p99": "too few"},
        "n": 480,
    }
    cells = [
        run_folders.result(latency, [2.0, 3.0], validity=flagged, stats=stats),
        run_folders.result(cuda, [], status="unsupported", reason="no GPU", effective={}),
    ]
    return run_folders.write(tmp_path / "run", cells)


def test_there_is_a_row_a_round_and_one_for_a_cell_without_any(tmp_path: Path) -> None:
    assert parquet_.to_parquet(written(tmp_path), tmp_path / "cells.parquet") == 3
    table = pd.read_parquet(tmp_path / "cells.parquet").set_index("device")
    cpu, cuda = table.loc["cpu"], table.loc["cuda"]
    assert list(cpu["round"]) == [1, 2]
    assert list(cpu["value"]) == [2.0, 3.0]
    assert list(cpu["pass"]) == ["pass/1", "pass/2"]
    assert set(cpu["lane"]) == {"strict-fp32-cpu-b1-t2-glibc-latency"}
    assert list(cpu["cell_latency_ms_p50"]) == pytest.approx([6**0.5] * 2)
    assert cpu["cell_latency_ms_p99"].isna().all()
    assert list(cpu["round_latency_ms_p50"]) == [2.0, 3.0]
    assert [list(reasons) for reasons in cpu["verdict_reasons"]] == [
        ["IQR is 12.0% of the median", "late"]
    ] * 2
    assert (cuda["status"], cuda["reason"]) == ("unsupported", "no GPU")
    assert pd.isna(cuda["round"])
    assert pd.isna(cuda["value"])


def test_every_figure_of_a_round_comes_back(tmp_path: Path) -> None:
    run = written(tmp_path)
    parquet_.to_parquet(run, tmp_path / "cells.parquet")
    rows = parquet.read_table(tmp_path / "cells.parquet").to_pylist()
    rounds = [(cell, one) for cell in results.cells(run) for one in cell.rounds]
    for row, (cell, one) in zip((row for row in rows if row["round"]), rounds, strict=True):
        assert {name: row[name] for name in ("id", "hash", "command")} == {
            "id": cell.id, "hash": cell.hash, "command": cell.command,
        }  # fmt: skip
        assert (row["count"], row["wall_s"], row["peak_rss_bytes"]) == (
            one.count,
            one.wall_s,
            one.peak_rss_bytes,
        )
        assert {name: row[f"phase_{name}_s"] for name in one.phases_s} == one.phases_s
        assert json.loads(row["effective"]) == cell.effective
        assert json.loads(row["conditions"]) == one.conditions
        assert row["started"] == datetime(2026, 1, 1, tzinfo=UTC)
        assert (row["cell_interval_0"], row["cell_interval_1"]) == (2.4, 2.6)


def test_columns_have_their_types_even_where_all_is_null(tmp_path: Path) -> None:
    parquet_.to_parquet(written(tmp_path), tmp_path / "cells.parquet")
    schema = parquet.read_schema(tmp_path / "cells.parquet")
    kinds = {"string": "string", "int64": "int64", "float64": "double"}
    kinds |= {"strings": "list<element: string>", "time": "timestamp[us, tz=UTC]"}
    for name, kind in (CELL | ROUND).items():
        assert str(schema.field(name).type) == kinds[kind], name
    assert str(schema.field("phase_compile_s").type) == "double"
    assert "cell_nulls_p99" not in schema.names


def test_the_file_says_what_it_is_of(tmp_path: Path) -> None:
    run = written(tmp_path)
    parquet_.to_parquet(run, tmp_path / "cells.parquet")
    described = json.loads(parquet.read_schema(tmp_path / "cells.parquet").metadata[parquet_.METADATA])
    assert described["machine"] == run_folders.MACHINE
    assert described["matrix"]["name"] == "t"


def test_a_golden_run_is_exported(tmp_path: Path) -> None:
    assert parquet_.to_parquet(GOLDEN / "schema_2", tmp_path / "cells.parquet") == 8
    table = pd.read_parquet(tmp_path / "cells.parquet").set_index("scenario")
    assert table.loc["accuracy", "cell_AP"] == pytest.approx(0.908, abs=1e-3)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"twinpose\[parquet\]"):
        parquet_.to_parquet(GOLDEN / "schema_2", tmp_path / "cells.parquet")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_bench_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a run folder with a bench"):
        parquet_.to_parquet(tmp_path, tmp_path / "cells.parquet")
