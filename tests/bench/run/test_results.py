"""Cells on disk: what was written is what is read, old versions too, and what is malformed is named."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cells.cell import Cell
from bench.run import artifacts, bench_file, results
from bench.statistics.samples import geometric_mean
from bench.verdicts import comparisons
from pose.errors import UserError
from pose.files import write_arrays

AXES = Cell("tf", "openvino", "ir", "bf16", "cpu", 1, 2, "glibc", "latency")
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LATENCY = "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency"


def one_round(number: int = 1, value: float | None = 2.5) -> results.Round:
    phases = {"import": 0.5, "compile": None}
    started = "2026-01-01T00:00:00+00:00"
    return results.Round(phases, 7, 1.5, started, number, f"sitting/lane/{number}", value)


def result(cell: Cell = AXES, **patch: Any) -> results.CellResult:
    stats = {"latency_ms": {"p50": geometric_mean([2.5, 2.75]), "p90": 3.0}, "n": 7, "peak_rss_bytes": 2**20}
    common = {"status": "ok", "reason": None, "stats": stats, "hash": "h", "split_sha256": "s"}
    common |= {"artifact_sha256": "a", "command": "twinpose bench runs/x"}
    common["rounds"] = [one_round(1), one_round(2, 2.75)]
    return results.CellResult(id=cell.id, axes=cell, **(common | patch))


def test_a_cell_comes_back_as_it_went(tmp_path: Path) -> None:
    path = results.save(tmp_path, result())
    assert results.read(path) == result()
    assert results.cells(tmp_path) == [result()]
    assert json.loads(path.read_text())["rounds"][1]["pass"] == "sitting/lane/2"


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
    assert artifacts.artifact(Path("run"), cell) == Path("run", file)


def test_samples_lie_beside_the_cell_and_come_back_round_by_round(tmp_path: Path) -> None:
    path = results.save(tmp_path, result())
    write_arrays(
        results.samples_path(tmp_path, AXES.id, 1), {"latency_ns": np.arange(7), "decode_ns": np.arange(3)}
    )
    write_arrays(results.samples_path(tmp_path, AXES.id, 2), {"latency_ns": np.arange(7, 10)})
    assert "latency_ns" not in path.read_text()
    np.testing.assert_array_equal(results.round_samples(tmp_path, AXES.id, 2)["latency_ns"], [7, 8, 9])
    assert results.round_samples(tmp_path, AXES.id, 3) == {}
    found = results.samples(tmp_path, result())
    np.testing.assert_array_equal(found["latency_ns"], np.arange(10))
    np.testing.assert_array_equal(found["decode_ns"], np.arange(3))
    assert found["latency_ns"].dtype == np.int64


def test_a_cell_has_the_samples_of_its_own_rounds_alone(tmp_path: Path) -> None:
    """A round that was written and whose process was killed before the JSON told of it does not count."""
    write_arrays(results.samples_path(tmp_path, AXES.id, 1), {"latency_ns": np.arange(7)})
    write_arrays(results.samples_path(tmp_path, AXES.id, 2), {"latency_ns": np.arange(7)})
    assert len(results.samples(tmp_path, result(rounds=[one_round(1)]))["latency_ns"]) == 7


def test_a_forgotten_cell_leaves_nothing(tmp_path: Path) -> None:
    results.save(tmp_path, result())
    write_arrays(results.samples_path(tmp_path, AXES.id, 1), {"latency_ns": np.arange(7)})
    results.forget(tmp_path, AXES.id)
    results.forget(tmp_path, AXES.id)
    assert list(results.folder(tmp_path).iterdir()) == []


def test_what_a_killed_process_was_writing_is_no_cell(tmp_path: Path) -> None:
    path = results.save(tmp_path, result())
    (path.parent / f".{AXES.id}.x1.json").write_text("{")
    assert results.cells(tmp_path) == [result()]


def test_a_run_without_a_bench_has_no_cells(tmp_path: Path) -> None:
    assert results.cells(tmp_path) == []
    assert comparisons.read(tmp_path) is None
    assert results.samples(tmp_path, result()) == {}
    with pytest.raises(UserError, match="makes one"):
        bench_file.required(tmp_path)


@pytest.mark.parametrize("patch", [{}, {"extra": 1}, {"rounds": {"shape": "another"}}, {"id": None}])
def test_a_newer_schema_asks_for_a_newer_twinpose_in_one_line(tmp_path: Path, patch: dict[str, Any]) -> None:
    path = results.save(tmp_path, result())
    newer = {**json.loads(path.read_text()), "schema": results.SCHEMA + 1, **patch}
    path.write_text(json.dumps(newer))
    with pytest.raises(UserError, match=r"has schema 3, this twinpose reads up to 2; .* upgrade") as raised:
        results.read(path)
    assert "\n" not in str(raised.value)


def test_a_newer_bench_json_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "bench.json"
    path.parent.mkdir()
    path.write_text('{"schema": 3}')
    with pytest.raises(UserError, match="has schema 3"):
        bench_file.required(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 1, "id": 3}', '{"schema": "1"}', "\x00", "\udcff"]
)
def test_a_malformed_cell_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cell.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"cell\.json"):
        results.read(path)


@pytest.mark.parametrize("text", ["[]", '{"comparisons": 3}', '{"comparisons": [3]}'])
def test_malformed_comparisons_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bench" / "comparisons.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError, match=r"comparisons\.json"):
        comparisons.read(tmp_path)


def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    results.save(tmp_path, result()).write_text("{")
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            with pytest.raises(UserError):
                results.cells(tmp_path)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()


def test_a_schema_that_no_release_wrote_is_refused(tmp_path: Path) -> None:
    path = results.save(tmp_path, result())
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 1}))
    with pytest.raises(UserError, match=r"has schema 1, which no release wrote; expected 2; measure it"):
        results.cells(tmp_path)


def test_schema_2_is_read() -> None:
    run = GOLDEN / "schema_2"
    cells = {cell.id: cell for cell in results.cells(run)}
    latency = cells[LATENCY]
    assert [cell.schema for cell in cells.values()] == [2] * 4
    assert [one.value for one in latency.rounds] == [2.093223, 2.092421, 2.081165]
    assert len({one.pass_ for one in latency.rounds}) == 3
    assert len(results.samples(run, latency)["latency_ns"]) == sum(one.count for one in latency.rounds) == 68
    [comparison] = comparisons.read(run) or ()
    assert (comparison.b, comparison.verdict) == (LATENCY, None)


def test_there_is_a_golden_run_of_every_schema() -> None:
    assert {path.name for path in GOLDEN.glob("schema_*")} == {f"schema_{results.SCHEMA}"}
