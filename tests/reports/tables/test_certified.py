"""Which timings the report calls certified: those that the gate grants their certificate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ladder_files
import msgspec
import pytest

from bench.cells.scenarios import SCENARIOS
from bench.parity import gate as gate_
from bench.parity.certificate import Parity
from reports.page import summary
from reports.plots import cells as cells_
from reports.plots import plot as plot_
from reports.run.read import Run, read
from reports.tables import cells as tables_cells
from reports.tables import failures, overview
from reports.tables.table import Table
from reports.words import certification


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return read(full_run)


def rows(table: Table | None) -> list[dict[str, Any]]:
    assert table is not None
    return [dict(zip([c.key for c in table.columns], row.values, strict=True)) for row in table.rows]


def uncertified(run: Run, runtime: str) -> Run:
    """Return the run with one runtime's cells timed without a certificate."""
    cells = tuple(
        msgspec.structs.replace(c, certificate_id=None) if c.axes.runtime == runtime else c for c in run.cells
    )
    return replace(run, cells=cells)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"certificate_id": None}, "--uncertified"),
        ({"artifact_sha256": "0" * 64}, "its artifact is not the one that was certified"),
    ],
)
def test_a_timing_is_certified_by_this_run_for_this_artifact_or_not_at_all(
    run: Run, changes: dict[str, Any], said: str
):
    timed = next(c for c in run.cells if c.status == "ok" and c.axes.scenario == "latency")
    assert certification.doubt(run, timed) is None
    assert said in (certification.doubt(run, msgspec.structs.replace(timed, **changes)) or "")
    assert run.parity is not None
    for parity_, why in (
        (replace(run.parity, status="fail"), "the parity ladder failed"),
        (replace(run.parity, runtimes=()), "says nothing of this runtime"),
        (without_rung(run, 5), "rung 5 (Optimizer step) is unsupported"),
        (renewed(run), "climbed anew since it was timed; 'twinpose bench' gives it the new certificate"),
    ):
        assert why in (certification.doubt(replace(run, parity=parity_), timed) or "")
    assert "no parity.json" in (certification.doubt(replace(run, parity=None), timed) or "")


def without_rung(run: Run, number: int) -> Parity:
    assert run.parity is not None
    rungs = (replace(r, status="unsupported") if r.number == number else r for r in run.parity.rungs)
    return replace(run.parity, status="unsupported", rungs=tuple(rungs))


def renewed(run: Run) -> Parity:
    assert run.parity is not None
    return replace(run.parity, runtimes=tuple(replace(c, id="0" * 64) for c in run.parity.runtimes))


def cut(raw: dict[str, Any], number: int, status: str) -> dict[str, Any]:
    """Return parity.json with one rung of another status."""
    rungs = [r | {"status": status} if r["number"] == number else r for r in raw["rungs"]]
    return raw | {"status": "unsupported" if status == "unsupported" else raw["status"], "rungs": rungs}


def altered(raw: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return parity.json with every certificate changed."""
    return raw | {"runtimes": [arm | changes for arm in raw["runtimes"]]}


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw,
        ladder_files.failed,
        *(
            partial(cut, number=number, status=status)
            for number in range(1, 9)
            for status in ("unsupported", "not climbed")
        ),
        lambda raw: altered(raw, artifact_sha256="0" * 64),
        lambda raw: altered(raw, status="unsupported"),
        lambda raw: altered(raw, status="fail"),
        lambda raw: altered(raw, device="cuda"),
        lambda raw: altered(raw, mode="compiled"),
        lambda raw: altered(raw, subject="imported"),
        lambda raw: altered(raw, through="tf"),
        lambda raw: altered(raw, id="0" * 64),
        lambda raw: raw | {"runtimes": []},
        lambda raw: raw | {"runtimes": raw["runtimes"][::-1]},
    ],
)
def test_the_report_calls_certified_what_the_gate_grants_the_certificate_that_the_cell_carries(
    run: Run, change: Callable[[dict[str, Any]], dict[str, Any]]
):
    raw = change(json.loads((run.path / "parity.json").read_text()))
    changed = replace(run, parity=msgspec.convert(raw, Parity))
    gate = gate_.Gate(run.path, changed.parity, {})
    timed = [c for c in run.cells if c.status == "ok" and SCENARIOS[c.axes.scenario].rungs]
    assert {c.axes.scenario for c in timed} == {one.name for one in SCENARIOS.values() if one.rungs}
    for cell in timed:
        granted, _ = gate.certificate(cell.axes, cell.artifact_sha256)
        certified_ = certification.doubt(changed, cell) is None
        assert certified_ == (granted is not None and granted == cell.certificate_id), cell.id


def test_an_uncertified_timing_is_marked_in_every_table_that_shows_it(run: Run):
    marked = uncertified(run, "openvino")
    for make in (overview.overview, tables_cells.every_cell):
        table = make(marked)
        assert table is not None
        assert certification.NOTE in table.note
        for row in rows(table):
            said = getattr(row["parity"], "value", row["parity"])
            if (
                row["runtime"] == "openvino"
                and row.get("scenario") != "accuracy"
                and row.get("status", "ok") == "ok"
            ):
                assert said == "uncertified"
            else:
                assert said != "uncertified"
        assert "timed without a certificate (--uncertified)" in table.reasons
        assert certification.NOTE not in (make(run) or table).note
    sentence = next(s for s in summary.sentences(marked) if "marked uncertified" in s)
    assert sentence.startswith("9 of 25 timings")
    assert not any("uncertified" in s for s in summary.sentences(run))


def test_an_uncertified_timing_is_marked_in_every_plot_that_shows_it(run: Run):
    marked = uncertified(run, "openvino")
    for before, after in zip(cells_.bench_plots(run), cells_.bench_plots(marked), strict=True):
        assert certification.NOTE in after.note
        svg = plot_.draw(after).svg
        # One word beside a label and one in what hovering says.
        assert svg.count("on OpenVINO, uncertified") + svg.count("on OpenVINO bf16, uncertified") >= 3
        assert "PyTorch eager, uncertified" not in svg
        assert "uncertified" not in plot_.draw(before).svg


def test_a_cell_that_was_refused_stands_in_place_of_its_timing_and_under_what_failed(run: Run):
    reason = "rung 3 failed at layer1.0.conv1.weight; --uncertified times it all the same"
    cells = tuple(
        msgspec.structs.replace(c, status="uncertified", reason=reason, stats={}, certificate_id=None)
        if c.axes.runtime == "onnxruntime"
        else c
        for c in run.cells
    )
    refused = replace(run, cells=cells)
    trouble = {row["what"]: row for row in rows(failures.failures(refused))}
    for cell in (c for c in cells if c.axes.runtime == "onnxruntime"):
        assert (trouble[cell.id]["status"], trouble[cell.id]["reason"]) == ("uncertified", reason)
    shown = next(r for r in rows(overview.overview(refused)) if r["runtime"] == "onnxruntime")
    assert shown["parity"] == "uncertified"
    assert shown["latency_p50_ms_b1"].shown == "uncertified"
