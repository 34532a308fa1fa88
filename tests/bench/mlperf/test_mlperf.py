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
from benching import TESTS, one
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench import mlperf
from bench.cells.matrix import Place
from bench.machine import fingerprint
from bench.mlperf import logs, options, parent, traffic
from bench.mlperf.records import LoadGenRow
from bench.process import launch
from pose.errors import UserError

SHORT = {"min_duration_s": 0.3, "warmup_s": 1e-9, "server_queries": 40, "samples": 4}
LATENCY, THROUGHPUT = one("latency").cells, one("throughput", batch=4).cells


def drive(run: Path, cells: Any = LATENCY, runner: str = "fake_runners:Sleeper", **given: Any) -> Any:
    asked = {name: given.pop(name) for name in list(given) if name in mlperf.Options.model_fields}
    env = {"PYTHONPATH": TESTS, **given.pop("env", {})}
    chosen = mlperf.Options(**(SHORT | asked))
    settings = {"timeout_s": 60.0, "uncertified": True, **given}
    return mlperf.run(run, cells, chosen, runners={"torch": runner}, env=env, **settings)


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


@pytest.mark.parametrize(
    ("cells", "runner", "status", "words"),
    [
        (
            LATENCY,
            "mlperf_runners:BreaksInATest",
            "failed",
            "RuntimeError: a kernel was not found (see bench",
        ),
        (THROUGHPUT, "mlperf_runners:BreaksInATest", "failed", "RuntimeError: a kernel was not found"),
        (LATENCY, "fake_runners:Segfaults", "failed", "killed by SIGSEGV (see bench/mlperf/"),
        (LATENCY, "fake_runners:Misused", "failed", "the weights are of another model"),
        (LATENCY, "fake_runners:NotHere", "unsupported", "no CUDA device is visible"),
        (
            one("latency", batch=8).cells,
            "fake_runners:Sleeper",
            "unsupported",
            "one sample a query, not for 8",
        ),
    ],
)
def test_whatever_goes_wrong_becomes_a_row(
    run_folder: Path, cells: Any, runner: str, status: str, words: str
):
    [row] = drive(run_folder, cells, runner)
    assert (row["status"], row["scenarios"]) == (status, [])
    assert words in row["reason"]
    if "see " in words:
        assert (run_folder / row["reason"].partition("(see ")[2].rstrip(")")).exists()
    assert row["reason"] in mlperf.text([row], None)


def test_a_runner_that_breaks_in_server_does_not_wait_for_the_schedule_to_end(run_folder: Path):
    # Ten minutes of arrivals are planned; the time-out would say so.
    [row] = drive(run_folder, LATENCY, "mlperf_runners:BreaksInServer", server_queries=600, target_qps=1)
    assert row["status"] == "failed"
    assert row["reason"].startswith("RuntimeError: a kernel was not found")


@pytest.mark.parametrize("runner", ["BreaksInATest", "BreaksInServer"])
def test_a_broken_test_takes_nothing_down_with_it(run_folder: Path, runner: str):
    [row] = drive(run_folder, LATENCY, f"mlperf_runners:{runner}", server_queries=600, target_qps=1)
    # The child's answer is written before it ends; how it ends is seen by asking the same again.
    child = run_folder / row["logs"] / "child"
    environment = os.environ | {"PYTHONPATH": f"{launch.ROOT}:{TESTS}"}
    command = [sys.executable, "-P", "-m", "bench.process.worker", str(child)]
    again = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads((child / "result.json").read_text())["reason"] == "RuntimeError: a kernel was not found"


def test_a_runner_that_hangs_times_out(run_folder: Path):
    [row] = drive(run_folder, LATENCY, "fake_runners:Hangs", timeout_s=2.0)
    # Twice the least duration of two scenarios is granted on top.
    assert (row["status"], row["reason"]) == ("timeout", "no result after 3.2 s")


def test_after_a_cell_that_crashed_the_next_one_runs(run_folder: Path):
    crashed, after = drive(run_folder, (*LATENCY, *THROUGHPUT), "fake_runners:Segfaults")
    assert (crashed["status"], after["status"]) == ("failed", "ok")


def test_without_the_package_a_cell_is_unsupported_and_names_the_extra(run_folder: Path, tmp_path: Path):
    absent = tmp_path / "absent"
    absent.mkdir()
    raising = 'raise ModuleNotFoundError("No module named it", name="mlperf_loadgen")'
    (absent / "mlperf_loadgen.py").write_text(raising)
    [row] = drive(run_folder, env={"PYTHONPATH": f"{absent}:{TESTS}"})
    assert row["status"] == "unsupported"
    assert "pip install twinpose[mlperf]" in row["reason"]


def test_a_stray_audit_config_changes_nothing(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "audit.config").write_text("*.*.min_query_count = 5000\n")
    monkeypatch.chdir(tmp_path)
    [row] = drive(run_folder)
    assert row["scenarios"][0]["settings"]["min_query_count"] == 100


def test_a_finished_cell_is_kept_until_something_that_decides_it_changes(run_folder: Path):
    def skipped(**given: Any) -> bool:
        heard: list[dict[str, Any]] = []
        drive(run_folder, on_event=lambda name, fields: heard.append(fields), **given)
        return bool(heard[-1]["skipped"])

    assert not skipped()
    assert skipped()
    assert skipped(timeout_s=61.0)
    assert not skipped(seed=1)
    path = next((run_folder / "bench" / "mlperf").glob("*.json"))
    path.write_text(path.read_text()[:100])
    assert not skipped(seed=1)
    (run_folder / "train/torch/best.safetensors").write_bytes(b"other weights")
    assert not skipped(seed=1)


def test_without_a_certificate_nothing_is_driven_and_the_row_says_why(run_folder: Path):
    [row] = drive(run_folder, uncertified=False)
    assert (row["status"], row["scenarios"], row["certificate_id"]) == ("uncertified", [], None)
    assert "the run has no certificate" in row["reason"]
    assert not (run_folder / row["logs"]).exists()


def test_a_cell_for_a_gpu_that_is_absent_lacks_no_certificate(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fingerprint, "gpus", list)
    cells = one(device="cuda").cells
    [row] = drive(run_folder, cells, "fake_runners:NotHere", uncertified=False)
    assert (row["status"], row["reason"]) == ("unsupported", "no CUDA device is visible to this runner")


def test_a_missing_artifact_becomes_a_row(run_folder: Path):
    cells = one(runtime="onnxruntime", mode="ir").cells
    [row] = mlperf.run(run_folder, cells, uncertified=False)
    assert row["status"] == "failed"
    assert "the run has no artifacts/torch/model.onnx; 'twinpose convert" in row["reason"]


def test_cells_without_a_counterpart_are_left_out(run_folder: Path):
    rows = drive(run_folder, one(["accuracy", "latency"]).cells)
    assert [row["axes"]["scenario"] for row in rows] == ["latency"]
    with pytest.raises(UserError, match="expected one of: latency, throughput"):
        drive(run_folder, one("accuracy").cells)


@given(st.integers(1, 12), st.lists(st.integers(-3, 15), min_size=1, max_size=9))
def test_the_library_lends_what_is_loaded_and_nothing_else(size: int, indices: list[int]):
    pool = np.arange(size, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    library = traffic.Library(pool)
    with pytest.raises(IndexError, match="is not loaded"):
        library.batch(indices)
    library.load(indices)
    inside = [i for i in indices if 0 <= i < size]
    if inside:
        np.testing.assert_array_equal(library.batch(inside), pool[inside])
    if len(inside) < len(indices):
        with pytest.raises(IndexError, match=f"the library holds {size}"):
            library.batch(indices)
    library.unload(indices)
    assert library.loaded == {}


@given(st.lists(st.integers(0, 99), min_size=1, max_size=40), st.integers(1, 9))
def test_batches_are_whole_and_hold_every_index_in_order(indices: list[int], batch: int):
    batches = traffic.whole_batches(indices, batch)
    assert {len(b) for b in batches} == {batch}
    flat = [i for b in batches for i in b]
    assert flat[: len(indices)] == indices
    assert len(flat) - len(indices) < batch
    assert set(flat) == set(indices)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 7), st.integers(0, 40))
def test_every_query_is_answered_once_and_in_order_even_after_an_error(
    indices: list[int], chunk: int, fails_at: int
):
    seen: list[int] = []
    answered: list[int] = []

    def infer(part: list[int]) -> None:
        seen.extend(part)
        if len(seen) > fails_at:
            raise RuntimeError("broken")

    server = traffic.Server(infer, answered.extend, chunk)
    server.answer(list(enumerate(indices)))
    assert answered == list(range(len(indices)))
    assert server.answered == len(indices)
    assert (server.error is None) == (len(indices) <= fails_at)
    assert seen == indices[: len(seen)]


KEYS = st.text("abc_", min_size=1, max_size=5)
JUNK = st.sampled_from(
    ["", "plain words", ":::MLLOG {", ':::MLLOG {"key": "a"', ":::MLLOG [1]", ":::MLLOG 7"]
)


@given(st.lists(st.tuples(KEYS, st.integers() | st.text() | st.booleans(), st.booleans(), JUNK)))
def test_a_detail_log_is_read_whatever_stands_between_its_records(tmp_path_factory: Any, records: Any):
    lines = []
    for key, value, is_error, junk in records:
        record = {"key": key, "value": value, "metadata": {"is_error": is_error, "is_warning": False}}
        lines += [f":::MLLOG {json.dumps(record)}", junk]
    path = tmp_path_factory.getbasetemp() / "detail.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    values, complaints = logs.read(path)
    assert values == {key: value for key, value, _, _ in records}
    assert complaints == [str(value) for _, value, is_error, _ in records if is_error]


def test_a_log_without_a_result_is_no_result(tmp_path: Path):
    (tmp_path / logs.DETAIL).write_text(':::MLLOG {"key": "loadgen_version", "value": "6"}\n')
    with pytest.raises(logs.LogError, match="wrote no result"):
        logs.result(tmp_path, "Server")


@given(st.sampled_from(sorted(options.MLPERF)), st.data())
def test_a_deviation_is_named_exactly_where_less_is_asked_for(scenario: str, data: st.DataObject):
    least = options.MLPERF[scenario]
    settings = {name: data.draw(st.integers(1, 2 * value)) for name, value in least.items()}
    found = options.deviations(scenario, settings)
    assert [text.split()[0] for text in found] == [n for n in least if settings[n] < least[n]]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("min_duration=3", "did you mean 'min_duration_s'?"),
        ("min_duration_s=long", "min_duration_s: "),
        ("utilisation=1", "utilisation: "),
        ("seed", "is not KEY=VALUE"),
        ("seed=[", "has no readable value"),
    ],
)
def test_a_wrong_option_is_one_line(word: str, said: str):
    with pytest.raises(UserError, match="--mlperf") as caught:
        mlperf.parse([word])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_are_read_as_the_command_of_a_row_writes_them():
    asked = mlperf.Options(min_duration_s=600, target_qps=20, trace=True, offline_samples=24576)
    words = [f"{name}={value}" for name, value in asked.model_dump(exclude_defaults=True).items()]
    assert mlperf.parse(words) == asked
    assert mlperf.parse([]) == mlperf.Options()


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
