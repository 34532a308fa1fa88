"""Cells on disk: what was written is what is read, and what is malformed is named."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench import store
from bench.contract import Cell
from pose.errors import UserError

AXES = Cell("tf", "openvino", "ir", "bf16", "cpu", 1, 2, "glibc", "latency")


def result(cell: Cell = AXES, **patch: Any) -> store.CellResult:
    stats = {"latency_ms": {"p50": 2.5, "p90": 3.0}, "n": 7, "peak_rss_bytes": 2**20}
    common = {"status": "ok", "reason": None, "stats": stats, "hash": "h", "split_sha256": "s"}
    common |= {"artifact_sha256": "a", "command": "twinpose bench runs/x"}
    common["rounds"] = [store.Round({"import": 0.5, "compile": None}, 7, 1.5, "2026-01-01T00:00:00+00:00")]
    return store.CellResult(id=cell.id, axes=cell, **(common | patch))


def test_a_cell_comes_back_as_it_went(tmp_path: Path):
    path = store.save(tmp_path, result(), {"latency_ns": np.arange(7)})
    assert store.read(path) == result()
    assert store.cells(tmp_path) == [result()]
    np.testing.assert_array_equal(store.samples(tmp_path, AXES.id)["latency_ns"], np.arange(7))


@pytest.mark.parametrize(
    ("runtime", "precision", "file"),
    [
        ("torch", "defaults", "train/torch/best.safetensors"),
        ("onnxruntime", "fp32", "artifacts/torch/model.onnx"),
        ("openvino", "bf16", "artifacts/torch/model.xml"),
        ("openvino", "defaults", "artifacts/torch/model.xml"),
        ("openvino", "int8", "artifacts/torch/model.int8.xml"),
    ],
)
def test_a_cell_loads_the_file_of_its_runtime_and_precision(runtime: str, precision: str, file: str):
    cell = replace(AXES, twin="torch", runtime=runtime, precision=precision)
    assert store.artifact(Path("run"), cell) == Path("run", file)


def test_what_a_killed_process_was_writing_is_no_cell(tmp_path: Path):
    path = store.save(tmp_path, result())
    (path.parent / f".{AXES.id}.x1.json").write_text("{")
    assert store.cells(tmp_path) == [result()]


def test_a_run_without_a_bench_has_no_cells(tmp_path: Path):
    assert store.cells(tmp_path) == []
    assert store.samples(tmp_path, "any") == {}
    assert store.table(tmp_path).empty


def test_the_table_has_a_row_for_every_cell_and_nan_where_nothing_was_measured(tmp_path: Path):
    other = Cell(**{**msgspec.to_builtins(AXES), "device": "cuda"})
    store.save(tmp_path, result())
    store.save(tmp_path, result(other, status="unsupported", reason="no GPU", stats={}, rounds=[]))
    table = store.table(tmp_path).set_index("device")
    assert list(table["status"]) == ["ok", "unsupported"]
    assert table.loc["cpu", "latency_ms_p50"] == 2.5
    assert np.isnan(table.loc["cuda", "latency_ms_p50"])
    assert table.loc["cuda", "reason"] == "no GPU"


def test_a_newer_schema_asks_for_a_newer_twinpose(tmp_path: Path):
    path = store.save(tmp_path, result())
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2, "extra": 1}))
    with pytest.raises(UserError, match="has schema 2, this twinpose reads up to 1"):
        store.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "id": 3}', '{"schema": "1"}', "\x00"])
def test_a_malformed_cell_is_named(tmp_path: Path, text: str):
    path = tmp_path / "cell.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"cell\.json"):
        store.read(path)


def test_ten_thousand_cells_are_read_in_seconds(tmp_path: Path):
    text = msgspec.json.encode(result())
    store.folder(tmp_path).mkdir(parents=True)
    for number in range(2000):
        (store.folder(tmp_path) / f"{number}.json").write_bytes(text)
    started = time.perf_counter()
    assert len(store.cells(tmp_path)) == 2000
    assert time.perf_counter() - started < 2
