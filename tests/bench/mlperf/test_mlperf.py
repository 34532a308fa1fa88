"""MLPerf's real LoadGen over a run folder, with runners that need no framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from loadgen_runs import LATENCY, THROUGHPUT, drive
from scipy import stats as scipy_stats

from bench import mlperf
from bench.cells.matrix import Place
from bench.mlperf import parent
from bench.mlperf.records import LoadGenRow
from bench.process import launch


def trace(run: Path, row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return Server's events of one name, in their order of time."""
    text = (run / row["logs"] / "Server" / "mlperf_log_trace.json").read_text()
    # LoadGen quotes its own keys twice and ends without a bracket: the lines are JSON, the file is not.
    events = [json.loads(line.rstrip(",")) for line in text.split("\n") if f'"{name}"' in line]
    return sorted(events, key=lambda event: event["ts"])


def test_a_latency_cell_is_driven_through_single_stream_and_server(run_folder: Path):
    [row] = drive(run_folder)
    assert (row["status"], row["reason"]) == ("ok", None)
    assert json.loads((run_folder / "bench" / "mlperf" / f"{row['id']}.json").read_text()) == row
    assert msgspec.to_builtins(msgspec.convert(row, LoadGenRow)) == row, "as its schema says, and no more"
    single, server = row["scenarios"]
    assert (single["scenario"], server["scenario"]) == ("SingleStream", "Server")
    # On a machine that stalls, LoadGen finds that its guess of a query's time was off, and says so.
    assert single["result_valid"] == (single["reasons"] == [])
    assert single["latency_ns"]["p50"] >= 2_000_000
    assert single["queries"] >= 100
    assert server["queries"] >= 40
    mean_s = single["latency_ns"]["mean"] / 1e9
    assert server["target_qps"] == pytest.approx(0.6 / mean_s, rel=1e-3)
    assert server["target_latency_ns"] == pytest.approx(10 * single["latency_ns"]["p50"], rel=1e-6)
    assert isinstance(server["bound_met"], bool)
    assert (single["bound_met"], single["target_latency_ns"]) == (None, None)
    assert row["claim"].startswith("not an MLPerf result")
    for found in row["scenarios"]:
        assert found["min_duration_ms"] == 300
        assert "min_duration_ms is 300; MLPerf asks for 600,000" in found["deviations"]


@pytest.mark.parametrize(("cells", "batch"), [(LATENCY, 1), (THROUGHPUT, 4)])
def test_every_query_is_of_a_validation_input_and_is_answered_in_whole_batches(
    run_folder: Path, cells: Any, batch: int
):
    [row] = drive(run_folder, cells, "mlperf_runners:Strict")
    assert (row["status"], row["axes"]["batch"]) == ("ok", batch), row["reason"]
    for found in row["scenarios"]:
        assert found["answered"] == found["samples"] > 0
        assert found["settings"]["performance_sample_count"] == 4


def test_a_cell_is_driven_in_the_place_that_the_matrix_names(run_folder: Path, tmp_path: Path):
    place = Place(env={"TF_ENABLE_ONEDNN_OPTS": "1", "OMP_NUM_THREADS": "7"}, folder=str(tmp_path))
    [row] = drive(run_folder, runner="fake_runners:Placed", places={"torch": place})
    assert row["effective"].items() >= {"folder": str(tmp_path), **place.env}.items()
    [elsewhere] = drive(run_folder, runner="fake_runners:Placed")
    assert elsewhere["effective"]["folder"] != str(tmp_path)


def test_a_throughput_cell_is_driven_through_offline(run_folder: Path):
    [row] = drive(run_folder, THROUGHPUT, offline_samples=500, warmup_s=0.1)
    [offline] = row["scenarios"]
    assert (offline["scenario"], offline["result_valid"]) == ("Offline", offline["reasons"] == [])
    assert offline["samples"] >= 500
    # 16 images in 5 ms is the most that this runner does.
    assert 0 < offline["qps"] <= 3200
    assert set(offline["latency_ns"].values()) == {None}
    assert "Offline is one query" in offline["nulls"]["p99"]


def test_loadgens_logs_are_kept_and_the_figures_are_theirs(run_folder: Path):
    [row] = drive(run_folder)
    for found in row["scenarios"]:
        folder = run_folder / row["logs"] / found["scenario"]
        written = {path.name for path in folder.iterdir()}
        assert written >= {"mlperf_log_summary.txt", "mlperf_log_detail.txt", "mlperf_log_accuracy.json"}
        summary = (folder / "mlperf_log_summary.txt").read_text()
        assert f"Scenario : {found['scenario']}" in summary
        assert f"50.00 percentile latency (ns)   : {found['latency_ns']['p50']}\n" in summary
        assert f"Result is : {'VALID' if found['result_valid'] else 'INVALID'}" in summary


def test_arrivals_are_poisson_whatever_the_runner_does(run_folder: Path):
    [row] = drive(run_folder, server_queries=600, target_qps=400, trace=True)
    scheduled_us = np.array([event["ts"] for event in trace(run_folder, row, "Latency")])
    assert len(scheduled_us) == row["scenarios"][1]["queries"]
    gaps_s = np.diff(scheduled_us) / 1e6
    # The seed makes the schedule, so this is no matter of luck.
    assert scipy_stats.kstest(gaps_s, "expon", args=(0, 1 / 400)).pvalue > 0.05
    assert scipy_stats.kstest(gaps_s, "uniform", args=(0, 2 / 400)).pvalue < 1e-6
    assert abs(scipy_stats.spearmanr(gaps_s[1:], gaps_s[:-1]).statistic) < 0.15


def test_arrivals_do_not_wait_for_a_runner_that_falls_behind(run_folder: Path):
    [row] = drive(run_folder, server_queries=400, target_qps=1500, trace=True)
    server = row["scenarios"][1]
    assert (server["result_valid"], server["bound_met"]) == (False, False)
    assert "the p99 is above the bound" in server["reasons"]
    assert server["over_bound"] > 4
    spent = [event["args"] for event in trace(run_folder, row, "Latency")]
    late_ns = np.median([args["issue_delay"] for args in spent])
    served_ns = np.median([args["issue_to_done"] for args in spent])
    assert late_ns < served_ns / 4


def test_every_cell_is_asked_by_the_same_schedule_unless_the_seed_is_another(run_folder: Path):
    def gaps(**given: Any) -> np.ndarray:
        [row] = drive(run_folder, target_qps=400, trace=True, **given)
        return np.diff([event["ts"] for event in trace(run_folder, row, "Latency")])[:30]

    first = gaps()
    np.testing.assert_allclose(gaps(latency_factor=9), first, atol=0.01)
    assert not np.allclose(gaps(seed=1), first, atol=0.01)


def test_the_bound_and_the_load_can_be_given(run_folder: Path):
    [row] = drive(run_folder, target_latency_ms=0.5, target_qps=50, server_queries=20)
    server = row["scenarios"][1]
    assert (server["target_latency_ns"], server["target_qps"]) == (500_000, 50)
    assert (server["bound_met"], server["over_bound"]) == (False, server["queries"])
    assert "--mlperf target_qps=50.0 --mlperf target_latency_ms=0.5" in row["command"]


def test_without_a_median_server_is_driven_under_a_given_bound_alone(run_folder: Path):
    few = {"single_stream_queries": 3, "min_duration_s": 0.001, "server_queries": 20}
    [row] = drive(run_folder, **few)
    [single] = row["scenarios"]
    assert (row["status"], single["scenario"], single["latency_ns"]["p50"]) == ("ok", "SingleStream", None)
    assert single["nulls"]["p50"] == f"{single['queries']} queries, needs 11"
    assert "Server was not driven" in single["warnings"][-1]
    assert single["warnings"][-1] in mlperf.text([row], None)
    [bounded] = drive(run_folder, **few, target_latency_ms=50)
    assert [found["scenario"] for found in bounded["scenarios"]] == ["SingleStream", "Server"]
    assert bounded["scenarios"][1]["target_latency_ns"] == 50_000_000


def test_the_table_has_a_line_for_each_scenario_and_claims_nothing(run_folder: Path):
    rows = drive(run_folder, (*LATENCY, *THROUGHPUT))
    lines = mlperf.text(rows, None).split("\n")
    for scenario in ("SingleStream", "Server", "Offline"):
        assert sum(line.startswith(f"  {scenario} ") for line in lines) == 1
    assert sum("MLPerf asks for 600,000" in line for line in lines) == 3
    assert lines[-1].startswith("not an MLPerf result")
    assert (
        sum(line.endswith("uncertified: timed without a certificate (--uncertified)") for line in lines) == 2
    )
    lost = mlperf.text([row | {"certificate_id": "c"} for row in rows], None)
    assert lost.count("uncertified: its certificate is not in the run: there is no parity.json") == 2
    assert parent.folder(run_folder) == run_folder / "bench" / "mlperf"


def twinpose(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinpose", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(launch.ROOT)},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--protocol", "mlperf", "--mlperf", "sead=1"], "did you mean 'seed'?"),
        (["--mlperf", "seed=1"], "give --protocol mlperf with it"),
        (["--protocol", "mlprf"], "'mlperf'"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(run_folder: Path, words: list[str], said: str):
    ended = twinpose("bench", run_folder, "--matrix", "smoke", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_verb_prints_the_table_and_says_that_cells_failed(run_folder: Path):
    ended = twinpose("bench", run_folder, "--matrix", "smoke", "--protocol", "mlperf", "-k", "torch-eager")
    assert ended.returncode == 3, ended.stderr
    assert "  uncertified: the run has no certificate" in ended.stdout
    assert "accuracy" not in ended.stdout
    facts = json.loads((run_folder / "run.json").read_text())
    assert facts["stages"]["bench mlperf"]["status"] == "done"
