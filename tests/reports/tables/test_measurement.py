"""How it was measured: noise floor, harness, protocol, ceilings, and what may be cited."""

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
import pytest

from bench.run import journal
from bench.run.bench_file import BenchFile
from reports.run.read import Run, read
from reports.tables import failures
from reports.tables import measurement as measurement_
from reports.tables.table import Table, to_csv, to_markdown
from reports.words import measurement

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def run(full_run: Path) -> Run:
    return read(full_run)


def parsed(table: Table | None) -> dict[str, dict[str, str]]:
    assert table is not None
    return {row["what"]: row for row in csv.DictReader(io.StringIO(to_csv(table)))}


def noted(run: Run) -> dict[str, Any]:
    """Return bench.json as it is written."""
    said: dict[str, Any] = msgspec.to_builtins(run.bench)
    return said


def rebenched(run: Run, **parts: Any) -> Run:
    """Return the run with other parts of its bench.json; a part that is None is left out."""
    said = {name: part for name, part in (noted(run) | parts).items() if part is not None}
    return replace(run, bench=msgspec.convert(said, BenchFile))


def noisy(run: Run, **noise: Any) -> Run:
    return rebenched(run, noise=noted(run)["noise"] | noise)


def test_the_table_says_noise_harness_protocol_and_ceilings(run: Run):
    rows = parsed(measurement_.table(run))
    floor = rows["Same cell as two arms (A/A)"]
    last = noted(run)["noise"]["history"][-1]
    assert [float(floor[key]) for key in ("value", "low", "high")] == [last["ratio"], *last["interval"]]
    assert "14 pairs; bench of 2025-01-02 03:04 UTC" in floor["how"]
    assert rows["The same, earlier"]["value"] == "1.0011"
    assert rows["Verdict"]["said"] == "VALID"
    assert (rows["Null runner, a query"]["value"], rows["Null runner, a query"]["unit"]) == ("2.9", "us")
    assert rows["Profile"]["said"] == "official"
    assert "up to 30 until the 95 % interval's half-width is at most 1 %" in rows["Rounds"]["how"]
    assert "in random order, seed 3141, in bench/passes.jsonl" in rows["Rounds"]["how"]
    assert rows["Warm-up"]["said"] == "3 s"
    assert float(rows["Peak, fp32, 2 threads"]["value"]) == 141.3
    assert "3x3 convolution, oneDNN" in rows["Peak, fp32, 2 threads"]["how"]
    assert rows["Memory bandwidth, 2 threads"]["said"] == "18.4 GB/s"
    assert rows["Without tf"]["how"].startswith("no time for 2 thread(s)")


def test_an_altered_profile_and_a_gpu_s_peak_are_said(run: Run):
    protocol = {**noted(run)["matrix"]["protocol"], "rounds": 3}
    on_gpu = {"peaks": [{**noted(run)["limits"]["peaks"][0], "gflops": 51000.0}]}
    matrix = {**noted(run)["matrix"], "protocol": protocol, "altered": {"rounds": 10}}
    changed = rebenched(run, matrix=matrix, limits_cuda=on_gpu)
    rows = parsed(measurement_.table(changed))
    assert rows["Profile"]["said"] == "official, but rounds 3 for 10"
    assert float(rows["Peak, GPU, fp32, 2 threads"]["value"]) == 51000.0
    assert float(rows["Peak, fp32, 2 threads"]["value"]) == 141.3


def test_cells_of_two_protocols_are_not_credited_with_one(run: Run):
    official = noted(run)["matrix"]["protocol"]
    official = {**official, "altered": {}}
    quick = {**official, "profile": "quick", "measured_s": 1.0, "altered": {"measured_s": 2.0}}
    run = rebenched(run, matrix=noted(run)["matrix"] | {"altered": {"rounds": 99}})
    first, *others = [one.id for one in run.cells if one.rounds and one.axes.scenario != "accuracy"]

    def by(cell_id: str) -> dict[str, Any]:
        return quick if cell_id == first else official

    cells = tuple(msgspec.structs.replace(one, protocol=by(one.id)) for one in run.cells)
    table = measurement_.table(replace(run, cells=cells))
    assert table is not None
    said = {
        (row.group, row.values[0]): row.values[1] for row in table.rows if str(row.group)[:8] == "Protocol"
    }
    assert said[f"Protocol of {len(others)} timed cells", "Profile"] == "official"
    assert said["Protocol of 1 timed cell", "Profile"] == "quick, but measured_s 1.0 for 2.0"
    assert said["Protocol of 1 timed cell", "Measured"] == "1 s"


def test_what_disturbed_a_ceiling_stands_beside_it(run: Run):
    limits = noted(run)["limits"]
    peaks = [{**limits["peaks"][0], "doubts": ["other work took 9% of the processors' time"]}]
    table = measurement_.table(rebenched(run, limits=limits | {"peaks": peaks}))
    how = parsed(table)["Peak, fp32, 2 threads"]["how"]
    assert how.endswith("the machine can do more than that: other work took 9% of the processors' time")


@pytest.mark.parametrize("gone", ["null", "limits", "noise", "matrix", "sittings"])
def test_what_a_bench_did_not_record_is_a_dash_with_a_reason(run: Run, gone: str):
    poorer = rebenched(run, **{gone: None})
    table = measurement_.table(poorer)
    assert table is not None
    assert gone == "sittings" or any(said in to_markdown(table) for said in ("recorded none", "does not say"))
    assert measurement.verdict(poorer) is not None


def test_the_verdict_at_the_head_is_that_of_the_noise_floor(run: Run):
    name, text, status = measurement.verdict(run) or ("", "", "")
    assert (name, status) == ("Bench: VALID.", "valid")
    assert "holds 1" in text
    misses = noisy(
        run, history=[{"ratio": 1.03, "interval": [1.01, 1.05]}], verdict="FLAGGED", reasons=["it misses 1"]
    )
    name, text, status = measurement.verdict(misses) or ("", "", "")
    assert (name, status) == ("Bench: FLAGGED.", "flagged")
    assert "1.03× [1.01, 1.05], an interval that misses 1 (it misses 1)" in text
    assert "with its interval and the run's flag" in text


def test_without_an_a_a_pair_nothing_vouches_for_a_run(run: Run):
    name, text, status = measurement.verdict(noisy(run, history=[], verdict="VALID")) or ("", "", "")
    assert (name, status) == ("Bench: not judged.", "not judged")
    assert "noise floor of this run is unknown" in text
    assert parsed(measurement_.table(noisy(run, history=[])))["Verdict"]["said"] == ""


def test_where_nothing_is_ranked_nothing_may_be_cited(run: Run):
    failed = tuple(msgspec.structs.replace(cell, status="failed", reason="x") for cell in run.cells)
    said = measurement.citable(replace(run, cells=failed))
    assert said.startswith("No difference may be cited: of 44 comparisons none is decided (44 not ranked)")


def test_a_run_without_cells_has_no_verdict(run: Run):
    bare = replace(run, cells=())
    assert measurement.verdict(bare) is None
    assert measurement_.table(bare) is None


def test_what_may_be_cited_is_counted(run: Run):
    said = measurement.citable(run)
    counts = [one.verdict for one in run.comparisons if one.set != "noise floor"]  # type: ignore[union-attr]
    differences = counts.count("faster") + counts.count("slower")
    assert f"{differences} differences and {counts.count('equivalent')} equivalences of {len(counts)}" in said
    assert f"(1 inconclusive, {counts.count(None)} not ranked)" in said


def test_nothing_of_an_invalid_bench_may_be_cited(run: Run):
    assert measurement.citable(noisy(run, verdict="INVALID")).startswith("Nothing of this bench may be cited")


def test_without_comparisons_no_difference_may_be_cited(run: Run):
    assert "no difference may be cited" in measurement.citable(replace(run, comparisons=None))
    assert "no difference may be cited" in measurement.citable(replace(run, comparisons=()))


def test_a_bench_that_was_killed_in_its_first_pass_is_warned_of_and_not_cited(make_run: MakeRun):
    path = make_run()
    bench_files.as_first_pass(path)
    old = read(path)
    assert measurement.citable(old) == measurement.NO_INTERVAL
    assert not measurement.has_intervals(old)
    rows = parsed(measurement_.table(old))
    assert rows["Profile"]["said"] == ""
    assert rows["Warm-up"]["said"] == "1 s"


def test_a_flagged_noise_floor_is_listed_with_what_failed(run: Run):
    found = failures.failures(noisy(run, verdict="FLAGGED", reasons=["the interval misses 1"]))
    assert found is not None
    row = parsed(found)["noise floor of the run"]
    assert (row["status"], row["reason"]) == ("FLAGGED", "the interval misses 1")
    assert row["command"].startswith("twinpose bench")


def test_an_order_is_read_up_to_the_line_that_a_killed_bench_left(full_run: Path, tmp_path: Path):
    lines = (full_run / "bench" / "passes.jsonl").read_text().splitlines()
    assert not lines[-1].endswith("}")
    found = read(full_run).passes
    assert len(found) == sum('"order"' in line for line in lines)
    assert {one.seed for one in found} == {3141}
    again = tmp_path / "bench" / "passes.jsonl"
    again.parent.mkdir()
    again.write_text(
        '{"pass": "a", "ord\n' + json.dumps({"pass": "b", "order": ["x"], "lane": "l"}) + "\n[]\n"
    )
    assert [one.order for one in journal.passes(tmp_path)] == [("x",)]
    assert journal.passes(tmp_path / "none") == ()
