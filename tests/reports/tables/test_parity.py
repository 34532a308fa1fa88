"""The ladder in the report: what passed, what failed, and where."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import ladder_files
import msgspec
import pytest

from bench.cells.scenarios import SCENARIOS
from bench.parity import document
from bench.parity.certificate import Certificate, Check, Parity, Rung
from bench.parity.rungs import base
from reports import build as built
from reports.page import html
from reports.plots import parity as plots_parity
from reports.plots import plot as plot_
from reports.run.read import Run, read
from reports.tables import failures, parity
from reports.tables.table import Table, to_csv, to_markdown
from reports.words import certification, ladder

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return read(full_run)


@pytest.fixture
def failed(run: Run) -> Run:
    """Return the run with a ladder that failed at rungs 3 and 4."""
    raw = json.loads((run.path / "parity.json").read_text())
    return replace(run, parity=msgspec.convert(ladder_files.failed(raw), Parity))


def rows(table: Table | None) -> list[dict[str, Any]]:
    assert table is not None
    return [dict(zip([c.key for c in table.columns], row.values, strict=True)) for row in table.rows]


def page(run: Run) -> str:
    """Return the report without its plots, which are most of the time."""
    return html.render(run, built.all_tables(run), [])


def test_a_passed_ladder_is_the_first_thing_that_a_report_says(run: Run):
    claim, basis = ladder.verdict(run.parity)
    assert claim == "The twins are proven equal: rungs 1 to 5, 7 and 8 passed."
    assert basis == "Rung 6 was not climbed: not asked for. Certificate 5a5a5a5a5a5a."
    text = page(run)
    assert text.index("<strong>Yes, proven</strong>") < text.index("<table>")
    assert text.index('id="parity"') < text.index(claim) < text.index('id="table-parity"')


def test_a_failed_ladder_names_what_failed_first_and_where(failed: Run):
    claim, basis = ladder.verdict(failed.parity)
    assert claim.startswith("The twins are not proven equal: rung 3 (Forward) failed first")
    assert "at layer1.0.conv1.weight (measured 3.1, bound 1e-12)" in claim
    assert basis.startswith("Rungs 1, 2, 5, 7 and 8 passed.")
    assert 'class="verdict" data-status="fail"' in page(failed)


def test_without_a_ladder_the_report_says_that_no_certificate_exists(run: Run):
    text = page(replace(run, parity=None))
    assert "No certificate exists" in text
    assert "Parity: absent" in text
    assert "parity" in {row["what"] for row in rows(failures.failures(replace(run, parity=None)))}


def test_what_the_bench_writes_is_what_the_report_reads(make_run: MakeRun):
    path = make_run()
    opened = read(path)
    assert opened.recipe is not None
    context = base.Context(opened.recipe, path, path, path / "split.json", path, 2)
    checks = (Check("fp64 gradients", math.nan, 1e-11, False, "why", "conv1.weight"),)
    rungs = [
        Rung(2, "Weights", "pass", None, (), 1.5),
        Rung(4, "Loss and gradient", "fail", None, checks, 2.5),
        Rung(6, "Trajectory", "not climbed", "not asked for"),
    ]
    axes = {"twin": "tf", "runtime": "tf", "mode": "graph", "precision": "fp32", "device": "cpu"}
    arm = Certificate(
        id="", subject="tf", **axes, artifact_sha256="ab" * 32, status="fail", reason="a reason"
    )
    started = datetime.fromisoformat("2025-01-02T03:24:05+00:00")
    found = document.document(context, rungs, [arm], [], "twinpose parity runs/demo", started)
    document.write(found, path)
    claim, basis = ladder.verdict(read(path).parity)
    assert "rung 4 (Loss and gradient) failed first" in claim
    assert "at conv1.weight (measured nothing, bound 1e-11)" in claim
    assert basis == "Rung 2 passed. Rung 6 was not climbed: not asked for."
    assert {"tf-tf-graph-fp32-cpu"} <= {row["what"] for row in rows(failures.failures(read(path)))}


def test_half_a_ladder_proves_no_equality(run: Run):
    assert run.parity is not None
    some = tuple(r for r in run.parity.rungs if r.number in {2, 3})
    claim, _ = ladder.verdict(replace(run.parity, rungs=some))
    assert claim == "The twins are equal as far as the ladder was climbed: rungs 2 and 3 passed."


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([3], "rung 3"),
        ([2, 3], "rungs 2 and 3"),
        ([1, 2, 3, 5], "rungs 1 to 3 and 5"),
        ([1, 3, 8], "rungs 1, 3 and 8"),
    ],
)
def test_rungs_are_listed_as_people_do(numbers: list[int], said: str):
    assert ladder.numbered(Rung(n, "x", "pass") for n in numbers) == said


def test_every_check_has_a_row_with_its_bound_and_the_reason_for_it(run: Run):
    assert run.parity is not None
    found = rows(parity.checks(run))
    climbed = [check for rung in run.parity.rungs for check in rung.checks]
    assert len(found) == len(climbed) + 1, "and one for the rung that was not climbed"
    text = to_csv(parity.checks(run))  # type: ignore[arg-type]
    assert text.splitlines()[0] == "rung,name,check,measured,bound,verdict,where,why,note"
    markdown = to_markdown(parity.checks(run))  # type: ignore[arg-type]
    assert f": {ladder_files.ROUNDING}" in markdown
    assert "| 6. Trajectory: not climbed | the whole rung<sup>" in markdown


def test_what_is_reported_beside_has_no_bound_and_no_verdict(run: Run):
    walked = next(row for row in rows(parity.checks(run)) if "walked freely" in str(row["check"]))
    assert walked["verdict"] == "reported"
    assert "no longer start alike" in walked["bound"].reason


def test_an_error_that_is_not_a_number_fails_and_is_no_zero(failed: Run):
    row = next(r for r in rows(parity.checks(failed)) if r["verdict"] == "fail" and r["rung"] == 4)
    assert row["measured"].shown == "—"


def test_an_unsupported_rung_keeps_its_row_and_its_reason(run: Run):
    assert run.parity is not None
    gone = Rung(7, "Deployment", "unsupported", "OpenVINO is not installed")
    rungs = tuple(gone if r.number == 7 else r for r in run.parity.rungs)
    without = replace(run, parity=replace(run.parity, rungs=rungs))
    assert "| 7. Deployment: unsupported |" in to_markdown(parity.checks(without))  # type: ignore[arg-type]
    assert "Rung 7 is unsupported here: OpenVINO is not installed." in ladder.verdict(without.parity)[1]
    trouble = {row["what"]: row for row in rows(failures.failures(without))}
    assert trouble["rung 7: Deployment"]["reason"] == "OpenVINO is not installed"


def test_each_failed_check_stands_under_what_failed(failed: Run):
    found = [row for row in rows(failures.failures(failed)) if str(row["what"]).startswith("rung ")]
    assert [row["what"] for row in found] == [
        "rung 3: fp64 heatmaps, evaluation mode",
        "rung 4: fp64 gradients",
    ]
    assert found[0]["reason"] == "measured 3.1, bound 1e-12, worst at layer1.0.conv1.weight"
    assert found[0]["command"] == "twinpose parity runs/demo"


def test_a_certificate_names_artifact_runtime_and_the_interval_of_its_ap(run: Run):
    found = rows(parity.certificates(run))
    assert len(found) == 9
    bf16 = next(row for row in found if row["precision"] == "bf16")
    assert (bf16["interval"], bf16["status"]) == ("−0.007 to +0.001", "reported")
    assert len(str(bf16["certificate"])) == 64, "CSV keeps it whole"
    markdown = to_markdown(parity.certificates(run))  # type: ignore[arg-type]
    assert f"`{str(bf16['certificate'])[:12]}`" in markdown
    assert "IR through" not in markdown, "no certificate names one"


def test_the_ap_of_a_certificate_is_on_ground_truth_boxes_whatever_the_run_was_given(run: Run):
    detected = replace(run, facts=run.facts | {"boxes": "/data/detections.json"}, test=None)
    assert detected.boxes == "detections.json"
    table = parity.certificates(detected)
    assert table is not None
    assert "ground-truth boxes" in table.note
    assert "detections.json" not in table.note


def test_where_ap_says_nothing_its_difference_says_so(run: Run):
    assert run.parity is not None
    first, *others = run.parity.runtimes
    low = replace(first, ap=0.1, dap=0.0001)
    opened = replace(run, parity=replace(run.parity, runtimes=(low, *others)))
    found = rows(parity.certificates(opened))
    assert found[0]["dAP"].reason == "AP says nothing: the source's is below 0.2"
    assert [row["dAP"] for row in found[1:]] == [c.dap for c in others]


def test_a_certificate_of_an_export_through_the_other_twin_covers_no_cell(run: Run):
    assert run.parity is not None
    crossed = tuple(
        replace(c, through="tf" if c.twin == "torch" else "torch") if c.runtime == "openvino" else c
        for c in run.parity.runtimes
    )
    opened = replace(run, parity=replace(run.parity, runtimes=crossed))
    assert {c.axes.runtime for c in certification.uncertified(opened)} == {"openvino"}
    assert "IR through" in to_markdown(parity.certificates(opened))  # type: ignore[arg-type]
    assert "torch-openvino-through-tf-ir-fp32-cpu" in {ladder.certified(c) for c in crossed}


def test_a_ladder_that_could_not_be_climbed_whole_is_no_failure(run: Run):
    assert run.parity is not None
    rungs = tuple(
        replace(r, status="unsupported", reason="no OpenVINO", checks=()) if r.number == 7 else r
        for r in run.parity.rungs
    )
    claim, basis = ladder.verdict(replace(run.parity, status="unsupported", rungs=rungs))
    assert claim == "The twins are proven equal: rungs 1 to 5 and 8 passed."
    assert basis.startswith("Rung 7 is unsupported here: no OpenVINO.")


def test_a_certificate_that_failed_is_no_certificate(run: Run):
    assert run.parity is not None
    first = replace(run.parity.runtimes[0], status="fail", reason="rmse is 3e-2, bound 6e-8")
    broken = replace(run, parity=replace(run.parity, runtimes=(first, *run.parity.runtimes[1:])))
    covered = {c.id for c in run.cells if c.certificate_id == first.id and SCENARIOS[c.axes.scenario].rungs}
    assert {c.id for c in certification.uncertified(broken)} <= covered
    assert certification.uncertified(broken)
    assert ladder.certified(first) in {row["what"] for row in rows(failures.failures(broken))}


@pytest.mark.parametrize(
    ("measured", "bound", "expected"),
    [(0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (5e-13, 1e-12, 0.5), (1.0, 0.0, math.inf), (None, 1.0, math.inf)],
)
def test_an_exact_zero_and_a_missed_one_stand_at_opposite_ends(
    measured: float | None, bound: float, expected: float
):
    assert plots_parity.share(Check("x", measured, bound, True, "why")) == expected


def test_dots_left_of_the_bound_passed_and_crosses_failed(run: Run, failed: Run):
    for opened, crosses in ((run, 0), (failed, 2)):
        assert opened.parity is not None
        plot = plots_parity.errors(opened)
        assert plot is not None
        assert plot.figure.axes[0].get_xscale() == "linear", "the logarithm is taken once, by share"
        lines = [line for line in plot.figure.axes[0].lines if line.get_gid()]
        failed_at = [float(line.get_xdata()[0]) for line in lines if line.get_marker() == "X"]
        passed_at = [float(line.get_xdata()[0]) for line in lines if line.get_marker() == "o"]
        assert len(failed_at) == crosses
        assert all(x <= 0 for x in passed_at)
        assert all(x > 0 for x in failed_at)
        exact = sum(check.measured == 0 for rung in opened.parity.rungs for check in rung.checks)
        assert (
            sum(tip.count(";") + 1 for gid, tip in plot.tooltips.items() if gid.startswith("exact")) == exact
        )


def test_a_ladder_of_nothing_but_zeros_or_of_nothing_at_all_is_drawn(run: Run):
    assert run.parity is not None
    zeros = tuple(
        replace(r, checks=tuple(replace(c, measured=0.0) for c in r.checks)) for r in run.parity.rungs
    )
    for rungs in (zeros, ()):
        plot = plots_parity.errors(replace(run, parity=replace(run.parity, rungs=rungs)))
        assert plot is not None
        assert plot_.draw(plot).svg


def test_the_provenance_names_the_certificate_and_the_versions_that_it_is_of(run: Run):
    text = page(run)
    assert f"<code>{'5a' * 32}</code>" in text
    assert "tensorflow 2.21.0, torch 2.14.1" in text
    assert f"<code>{'cd' * 32}</code>" in text


def test_what_the_ladder_says_is_escaped(failed: Run):
    assert failed.parity is not None
    first = replace(failed.parity.rungs[0], reason="<b>x</b>", status="unsupported", checks=())
    text = page(replace(failed, parity=replace(failed.parity, rungs=(first, *failed.parity.rungs[1:]))))
    assert "<b>x" not in text
    assert "&lt;b&gt;x" in text
