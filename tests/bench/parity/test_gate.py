"""No cell is timed without a certificate of its own artifact on its own runtime."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benching import bench, one

from bench import mlperf
from bench.cells import matrix, runtimes
from bench.machine import fingerprint
from bench.parity import certificate, ladder, weight_hashes
from bench.parity import gate as gate_
from bench.run import artifacts, results
from pose import weights
from pose.errors import UserError
from pose.files import write_json


def best(run: Path) -> Path:
    return run / "train" / "torch" / "best.safetensors"


def written(run: Path, **patch: Any) -> dict[str, Any]:
    """Write and return a certificate of the run's torch weights on torch eager, with changes."""
    arm = {
        "id": "c" * 64,
        "subject": "torch",
        "through": None,
        "artifact_sha256": artifacts.artifact_sha256(best(run)),
        "status": "pass",
        "reason": None,
        **{axis: asdict(one().cells[0])[axis] for axis in ("twin", "runtime", "mode", "precision", "device")},
    }
    found = {
        "schema": certificate.SCHEMA,
        "id": "a" * 64,
        "recipe": "tiny",
        "command": "twinpose parity run",
        "status": "pass",
        "first_failure": None,
        "rungs": [
            {"number": step.number, "name": step.name, "status": "pass", "reason": None}
            for step in ladder.LADDER
        ],
        "weights": {"torch": weight_hashes.describe_weights(best(run))},
        "runtimes": [arm | patch.pop("arm", {})],
    } | patch
    write_json(run / "parity.json", found)
    return found


@pytest.fixture
def run(run_folder: Path) -> Path:
    """Return a run folder whose torch artifact is whole weights."""
    weights.save(best(run_folder), {"a": np.arange(3.0), "b": np.ones((2, 2))})
    return run_folder


def test_a_certified_cell_is_timed_and_carries_the_id(run: Path) -> None:
    written(run)
    [result] = bench(run, one(), uncertified=False)
    assert (result.status, result.certificate_id) == ("ok", "c" * 64)


def test_without_a_certificate_nothing_is_timed_and_the_row_says_why(run: Path) -> None:
    [result] = bench(run, one(), uncertified=False)
    assert result.status == "uncertified"
    assert "no certificate; 'twinpose parity " in str(result.reason)
    assert (result.rounds, result.stats, result.certificate_id) == ([], {}, None)


def test_accuracy_is_measured_without_a_certificate(run: Path) -> None:
    [result] = bench(run, one("accuracy", batch=2), "NullRunner", uncertified=False)
    assert result.status == "ok"


def test_a_cell_timed_uncertified_is_marked_and_a_later_certificate_is_attached(run: Path) -> None:
    [result] = bench(run, one())
    assert (result.status, result.certificate_id) == ("ok", None)
    written(run)
    samples = results.samples(run, result)
    [again] = bench(run, one(), uncertified=False)
    assert again == replace_id(result, "c" * 64)
    assert results.cells(run) == [again]
    np.testing.assert_array_equal(results.samples(run, again)["latency_ns"], samples["latency_ns"])


def test_a_device_that_is_absent_is_unsupported_and_lacks_no_certificate(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "gpus", list)
    written(run)
    [absent] = bench(run, one(device="cuda"), "NotHere", uncertified=False)
    assert (absent.status, absent.reason) == ("unsupported", "no CUDA device is visible to this runner")
    monkeypatch.setattr(fingerprint, "gpus", lambda: [{"name": "a GPU"}])
    [there] = bench(run, one(device="cuda"), "NotHere", uncertified=False)
    assert there.status == "uncertified"


def test_what_the_ladder_could_not_run_here_is_unsupported_with_its_reason(run: Path) -> None:
    said = "OpenVINO cannot run bf16 on CPU here"
    found = written(run, arm={"status": "unsupported", "reason": said})
    [result] = bench(run, one(), "Raises", uncertified=False)
    assert (result.status, result.rounds) == ("unsupported", [])
    assert said in str(result.reason)
    [row] = mlperf.run(run, one().cells, runners={"torch": "fake_runners:Raises"})
    assert (row["status"], row["reason"]) == ("unsupported", result.reason)
    written(run, arm=found["runtimes"][0], rungs=rungs(run, 3, "not climbed"))
    [result] = bench(run, one(), "Raises", uncertified=False)
    assert result.status == "uncertified", "another rung is missing as well"


def test_rounds_that_were_timed_uncertified_are_kept_and_not_prolonged_without_a_certificate(
    run: Path,
) -> None:
    [result] = bench(run, one(protocol={"rounds": 1}))
    [kept] = bench(run, one(protocol={"rounds": 2}), uncertified=False)
    assert kept == result


def replace_id(result: results.CellResult, value: str) -> results.CellResult:
    return type(result)(
        **{name: getattr(result, name) for name in result.__struct_fields__} | {"certificate_id": value}
    )


def rungs(run: Path, number: int, status: str) -> list[dict[str, Any]]:
    return [
        {"number": step.number, "name": step.name, "reason": None}
        | {"status": status if step.number == number else "pass"}
        for step in ladder.LADDER
    ]


FAILED = {"rung": 3, "name": "Forward", "check": "fp64 heatmaps", "where": "probe 4"}


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"first_failure": FAILED}, "rung 3 (Forward) failed: fp64 heatmaps at probe 4"),
        ({"rungs": rungs(Path(), 5, "not climbed")}, "rung 5 (Optimizer step) is not climbed"),
        ({"arm": {"artifact_sha256": "0" * 64}}, "its artifact is not the one that was certified"),
        ({"arm": {"status": "fail", "reason": "rmse is 1"}}, "rung 7 (Deployment): fail: rmse is 1"),
        ({"arm": {"mode": "compiled"}}, "says nothing of this runtime, mode, precision and device"),
        ({"arm": {"subject": "tf"}}, "says nothing of this runtime"),
        ({"arm": {"precision": "bf16"}}, "says nothing of this runtime"),
    ],
)
def test_a_certificate_that_does_not_cover_the_cell_is_none(
    run: Path, patch: dict[str, Any], words: str
) -> None:
    written(run, **patch)
    [result] = bench(run, one(), uncertified=False)
    assert result.status == "uncertified"
    assert words in str(result.reason)


def test_rungs_that_do_not_bear_on_what_is_timed_need_not_be_climbed(run: Path) -> None:
    written(run, rungs=rungs(run, 6, "not climbed"))
    assert bench(run, one(), uncertified=False)[0].status == "ok"


@pytest.mark.parametrize(
    ("number", "status"), [(1, "not climbed"), (1, "unsupported"), (5, "not climbed"), (5, "pass")]
)
def test_a_loader_needs_rung_1_and_no_other(run: Path, number: int, status: str) -> None:
    written(run, rungs=rungs(run, number, status), arm={"device": "cuda", "status": "unsupported"})
    cell = replace(one().cells[0], scenario="data", batch=8)
    granted, refused = gate_.of_run(run).certificate(cell, artifacts.artifact_sha256(best(run)))
    if number == 1:
        assert granted is None
        assert f"rung 1 (Data) is {status}; 'twinpose parity " in str(refused)
    else:
        assert (granted, refused) == ("c" * 64, None)


def test_no_rung_proves_a_training_in_a_lower_precision(run: Path) -> None:
    written(run, arm={"precision": "bf16", "status": "reported"})
    cell = replace(one().cells[0], scenario="train", precision="bf16", batch=8)
    gate = gate_.of_run(run)
    granted, refused = gate.certificate(cell, artifacts.artifact_sha256(best(run)))
    assert granted is None
    assert refused == (
        "rungs 4 and 5 prove training in float32 and float64 alone, not in bf16; --uncertified times without"
    )
    assert gate.bars(cell, artifacts.artifact_sha256(best(run))) == ("uncertified", refused)
    inference = replace(cell, scenario="latency", batch=1)
    assert gate.certificate(inference, artifacts.artifact_sha256(best(run)))[1] is None


def test_a_loader_is_not_timed_without_a_certificate(run: Path) -> None:
    [result] = bench(run, one("data", batch=2), uncertified=False)
    assert result.status == "uncertified"
    assert "the run has no certificate" in str(result.reason)


RECORDED = {"torch": "2.14.1", "torchvision": "0.29.2", "tensorflow": "2.21.0", "openvino": "2026.4.1"}


@pytest.mark.parametrize(
    ("recorded", "installed", "said"),
    [
        (RECORDED, {}, None),
        (RECORDED, {"torch": "2.15.0"}, "torch 2.14.1 was certified and 2.15.0 is installed"),
        (RECORDED, {"torchvision": "0.30"}, "torchvision 0.29.2 was certified and 0.30 is installed"),
        (RECORDED, {"openvino": "2027.0"}, "openvino 2026.4.1 was certified and 2027.0 is installed"),
        (RECORDED, {"tensorflow": "3.0", "keras": "4.0"}, None),
        (RECORDED, {"torch": None}, None),
        ({}, {"torch": "2.15.0"}, None),
        (None, {"torch": "2.15.0"}, None),
    ],
)
def test_a_certificate_is_of_the_versions_that_have_a_part(
    run: Path, recorded: dict[str, str] | None, installed: dict[str, str | None], said: str | None
) -> None:
    axes = {"runtime": "openvino", "mode": "ir", "through": "torch"}
    written(run, arm=axes, **({} if recorded is None else {"versions": recorded}))
    cell = replace(one().cells[0], runtime="openvino", mode="ir")
    gate = replace(gate_.of_run(run), installed=RECORDED | installed)
    granted, refused = gate.certificate(cell, artifacts.artifact_sha256(best(run)))
    if said is None:
        assert (granted, refused) == ("c" * 64, None)
    else:
        assert granted is None
        assert f"{said}; 'twinpose parity {run}'" in str(refused)


def test_a_cell_is_not_timed_after_an_upgrade(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(run, versions=RECORDED)
    monkeypatch.setattr(runtimes, "versions", lambda: RECORDED | {"torch": "2.15.0"})
    [result] = bench(run, one(), uncertified=False)
    assert result.status == "uncertified"
    assert "torch 2.14.1 was certified and 2.15.0 is installed" in str(result.reason)


def test_altered_weights_are_refused_by_the_parameters_name_and_nothing_is_touched(run: Path) -> None:
    written(run)
    weights.save(best(run), {"a": np.arange(3.0), "b": np.ones((2, 2)) + 1e-9})
    with pytest.raises(UserError, match="parameter 'b' differs"):
        bench(run, one(), uncertified=False)
    assert not (run / "bench").exists()
    assert bench(run, one())[0].certificate_id is None


def test_a_parameter_that_went_is_named(run: Path) -> None:
    described = weight_hashes.describe_weights(best(run))
    weights.save(best(run), {"b": np.ones((2, 2))})
    assert weight_hashes.altered(best(run), described) == "a"


@pytest.mark.parametrize("content", ["[", "[]", "{}", '{"schema": 9}'])
def test_a_malformed_certificate_is_one_line(run: Path, content: str) -> None:
    (run / "parity.json").write_text(content)
    with pytest.raises(UserError, match=r"parity\.json"):
        gate_.of_run(run)


def test_an_export_is_certified_through_the_twin_that_it_is_of() -> None:
    cell = replace(one().cells[0], runtime="openvino", mode="ir", twin="tf")
    axes = {"twin": "tf", "runtime": "openvino", "mode": "ir", "precision": "fp32", "device": "cpu"}
    of = certificate.Certificate(
        id="c", **axes, artifact_sha256="a" * 64, status="pass", subject="tf", through="tf"
    )
    assert of.covers(cell)
    assert not replace(of, through="torch").covers(cell)


def test_a_certificate_is_of_the_environment_that_it_was_climbed_in(run: Path) -> None:
    place = matrix.Place(python="envs/torch/bin/python")
    here, there = (one().cells[0], artifacts.artifact_sha256(best(run))), {"torch": place}
    written(run)
    assert gate_.of_run(run).certificate(*here)[0] == "c" * 64
    assert gate_.of_run(run, {"tf": place}).certificate(*here)[0] == "c" * 64
    refused = gate_.of_run(run, there).certificate(*here)[1]
    assert "says nothing of this runtime" in str(refused)
    written(run, arm={"place": place.key})
    assert gate_.of_run(run, there).certificate(*here)[0] == "c" * 64
    assert gate_.of_run(run).certificate(*here)[0] is None
    other = {"torch": matrix.Place(python="envs/torch/bin/python", env={"A": "b"})}
    assert gate_.of_run(run, other).certificate(*here)[0] is None
    assert matrix.Place().key is None
