"""A run's certificate over time: what a climb of some rungs keeps, and when `run` climbs again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cells import matrix, runtimes
from bench.cells.cell import Cell
from bench.machine import fingerprint
from bench.parity import climb as climb_
from bench.parity import document, ladder
from bench.parity import gate as gate_
from bench.parity.certificate import Check, Rung
from bench.parity.rungs import arms, deployment
from bench.run import artifacts, folder
from bench.stages import order, proof
from pose import weights
from pose.errors import UserError
from pose.files import read_json, write_json, write_text

CELL = Cell("torch", "torch", "eager", "fp32", "cpu", 1, 2, "glibc", "latency")
INT8 = """name: t
blocks:
  - {twin: torch, runtime: torch, mode: eager, scenario: latency, batch: 1, threads: 2}
  - {twin: torch, runtime: openvino, mode: ir, precision: [fp32, int8], scenario: latency, batch: 1,
     threads: 2}
"""

Climb = Callable[..., dict[str, Any]]


def best(run: folder.RunFolder) -> Path:
    return run.train_folder("torch") / "best.safetensors"


def ir(run: folder.RunFolder, name: str = "model.xml") -> Path:
    return run.artifact_folder("torch") / name


@pytest.fixture
def run(run_folder: Path) -> folder.RunFolder:
    """Return a run of a torch twin whose IR was quantised, and whose matrix measures both."""
    write_text(run_folder / "matrix.yaml", INT8)
    opened = folder.opened(run_folder)
    recipe = opened.recipe.model_copy(update={"matrix": str(run_folder / "matrix.yaml")})
    opened = replace(opened, recipe=recipe)
    weights.save(best(opened), {"a": np.arange(3.0)})
    for name in ("model.xml", "model.int8.xml"):
        ir(opened, name).parent.mkdir(parents=True, exist_ok=True)
        write_text(ir(opened, name), name)
    return opened


@pytest.fixture
def climb(run: folder.RunFolder, monkeypatch: pytest.MonkeyPatch) -> Climb:
    """Return what climbs given rungs for the run and finds them all passed, or `statuses` of them."""

    def climbed(*numbers: int, measured: float = 1e-15, **statuses: str) -> dict[str, Any]:
        def fake(context: Any, subjects: Any, lower: Any, wanted: Any) -> Any:
            rungs = [_rung(step, wanted, statuses, measured) for step in ladder.LADDER]
            facts = [
                deployment.unjudged(subject, arm, artifacts.artifact_sha256(arm.artifact), context.places)
                for subject in subjects
                for arm in arms.of(subject, lower, context.device)
            ]
            return rungs, facts if ladder.DEPLOYMENT in wanted else []

        monkeypatch.setattr(ladder, "climb", fake)
        chosen = matrix.load(str(run.recipe.matrix))
        wanted = climb_.ClimbRequest(numbers, f"twinpose parity RUN --rungs {numbers}")
        climb_.run_folder(run, wanted, chosen)
        found: dict[str, Any] = read_json(run.path / "parity.json", "a certificate")
        return found

    return climbed


def _rung(step: ladder.LadderStep, wanted: Any, statuses: dict[str, str], measured: float) -> Rung:
    if step.number not in wanted:
        return Rung(step.number, step.name, "not climbed", "not asked for")
    status = statuses.get(f"rung_{step.number}", "pass")
    reason = "not installed" if status == "unsupported" else None
    checks = (Check("error", measured, 1e-12, status == "pass", "why", "conv1.weight"),)
    return Rung(step.number, step.name, status, reason, checks if reason is None else ())


def statuses(found: dict[str, Any]) -> list[str]:
    return [rung["status"] for rung in found["rungs"]]


def test_a_climb_of_one_rung_keeps_the_others_and_replaces_its_own(
    run: folder.RunFolder, climb: Climb
) -> None:
    whole = climb(*ladder.QUICK)
    found = climb(3, measured=2e-15)
    assert statuses(found) == statuses(whole)
    assert found["rungs"][2]["checks"][0]["measured"] == 2e-15
    assert found["rungs"][3]["checks"] == whole["rungs"][3]["checks"]
    assert [rung.get("kept", False) for rung in found["rungs"]] == [
        *(True, True, False, True, True, False, True, True)
    ]
    assert found["rungs"][0]["command"] == whole["command"] != found["command"]
    assert found["rungs"][0]["started"] == whole["started"]
    assert found["runtimes"] == whole["runtimes"], "what the certificates rest on is as it was"
    assert found["id"] != whole["id"], "a check of the whole is another"
    gate = gate_.of_run(run.path)
    assert gate.certificate(CELL, artifacts.artifact_sha256(best(run))) == (found["runtimes"][0]["id"], None)


def test_arms_that_another_matrix_leaves_out_are_kept_until_their_artifact_changes(
    run: folder.RunFolder, climb: Climb
) -> None:
    both = climb(*ladder.QUICK)["runtimes"]
    write_text(run.path / "matrix.yaml", INT8.replace("[fp32, int8]", "fp32"))
    kept = climb(*ladder.QUICK)["runtimes"]
    assert sorted(arm["id"] for arm in kept) == sorted(arm["id"] for arm in both)
    assert "int8" in {arm["precision"] for arm in kept}
    write_text(ir(run, "model.int8.xml"), "another")
    assert "int8" not in {arm["precision"] for arm in climb(*ladder.QUICK)["runtimes"]}


def test_the_ids_are_of_the_merged_whole(climb: Climb) -> None:
    whole = climb(*ladder.QUICK)
    assert climb(3)["id"] == whole["id"], "the same was found again"
    failed = climb(4, rung_4="fail")
    assert failed["first_failure"]["rung"] == 4
    assert {arm["id"] for arm in failed["runtimes"]}.isdisjoint(arm["id"] for arm in whole["runtimes"])
    again = climb(3)
    assert (again["status"], again["first_failure"]) == ("fail", failed["first_failure"])
    assert climb(4)["status"] == "pass"


def test_a_rung_that_no_timing_needs_leaves_the_ids_of_the_certificates(climb: Climb) -> None:
    assert climb(6)["runtimes"] == []
    whole = climb(*ladder.QUICK)
    assert whole["rungs"][5]["status"] == "pass"
    assert climb(6)["runtimes"] == whole["runtimes"]


def _other_weights(run: folder.RunFolder) -> None:
    weights.save(best(run), {"a": np.arange(3.0) + 1})


def _other_export(run: folder.RunFolder) -> None:
    write_text(ir(run), "converted anew")


def _other_recipe(run: folder.RunFolder) -> None:
    rewrite(run, recipe_sha256="0" * 64)


def _older_torch(run: folder.RunFolder) -> None:
    found = read_json(run.path / "parity.json", "a certificate")
    rewrite(run, versions=found["versions"] | {"torch": "1.0"})


def _no_versions(run: folder.RunFolder) -> None:
    found = read_json(run.path / "parity.json", "a certificate")
    del found["versions"]
    write_json(run.path / "parity.json", found)


def rewrite(run: folder.RunFolder, **changes: Any) -> None:
    found = read_json(run.path / "parity.json", "a certificate") | changes
    write_json(run.path / "parity.json", found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_weights, "other weights"),
        (_other_export, "other artifacts"),
        (_other_recipe, "another recipe"),
        (_older_torch, "other versions (torch 1.0, now "),
        (_no_versions, "other versions ("),
    ],
)
def test_what_was_climbed_for_something_else_is_not_climbed(
    run: folder.RunFolder,
    climb: Climb,
    change: Callable[[folder.RunFolder], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    climb(*ladder.QUICK)
    change(run)
    found = climb(3)
    assert statuses(found) == ["not climbed"] * 2 + ["pass"] + ["not climbed"] * 5
    assert found["runtimes"] == []
    assert f"not asked for; what was climbed before is of {said}" in found["rungs"][3]["reason"]
    assert found["rungs"][5]["reason"] == "not asked for"
    printed = capsys.readouterr()
    assert "not kept: rungs 1, 2, 4, 5, 7, 8: what was climbed before is of" in printed.out + printed.err


def test_a_certificate_that_cannot_be_read_is_climbed_anew(run: folder.RunFolder, climb: Climb) -> None:
    (run.path / "parity.json").write_text("[")
    assert climb(*ladder.QUICK)["status"] == "pass"


def test_a_run_with_int8_in_its_matrix_is_proven_once(run: folder.RunFolder, climb: Climb) -> None:
    assert not order._is_proven(run)
    found = climb(*ladder.QUICK)
    assert {"fp32", "int8"} <= {arm["precision"] for arm in found["runtimes"]}
    assert order._is_proven(run)


def test_what_the_matrix_measures_is_certified_where_the_matrix_places_it(
    run: folder.RunFolder, climb: Climb, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = climb(*ladder.QUICK)
    seen: list[Any] = []
    fake = ladder.climb

    def watched(context: Any, *rest: Any) -> Any:
        seen.append(context)
        return fake(context, *rest)

    monkeypatch.setattr(ladder, "climb", watched)
    place = "interpreters: {torch: {python: envs/torch/bin/python, env: {A: b}}}\n"
    write_text(
        run.path / "other.yaml",
        INT8 + "  - {twin: torch, runtime: onnxruntime, mode: ir, scenario: latency, "
        "precision: defaults, batch: 1}\n" + place,
    )
    gpus: list[dict[str, str]] = []
    monkeypatch.setattr(fingerprint, "gpus", lambda: gpus)
    with pytest.raises(UserError, match="nvidia-smi sees no GPU here"):
        proof.prove(run, ladder.QUICK, str(run.path / "other.yaml"), "cuda")
    gpus.append({"name": "a GPU"})
    found = document.as_json(proof.prove(run, ladder.QUICK, str(run.path / "other.yaml"), "cuda"))
    assert found["command"].endswith("other.yaml --device cuda --quick")
    on_gpu = [arm for arm in found["runtimes"] if arm["device"] == "cuda"]
    assert [(arm["runtime"], arm["mode"], arm["precision"]) for arm in on_gpu] == [("torch", "eager", "fp32")]
    assert {arm["device"] for arm in found["runtimes"]} == {"cpu", "cuda"}
    arms_of = [
        {(arm["runtime"], arm["device"], arm["place"]) for arm in one["runtimes"]} for one in (whole, found)
    ]
    key = seen[-1].places["torch"].key
    assert arms_of[1] - arms_of[0] == {("torch", "cpu", key), ("torch", "cuda", key)}
    assert arms_of[0] <= arms_of[1], "what was climbed in this environment is kept"
    assert seen[-1].places["torch"].python == "envs/torch/bin/python"
    assert seen[-1].places["torch"].env == {"A": "b"}
    gate = gate_.of_run(run.path)
    cell = replace(CELL, device="cuda")
    artifact = artifacts.artifact_sha256(best(run))
    assert gate.certificate(cell, artifact)[0] is None, "of another environment"
    placed = gate_.of_run(run.path, seen[-1].places)
    assert placed.certificate(cell, artifact) == (on_gpu[0]["id"], None)


def test_a_run_whose_rungs_do_not_let_the_bench_time_is_not_proven(
    run: folder.RunFolder, climb: Climb
) -> None:
    climb(7)
    assert not order._is_proven(run)
    climb(2, 3, 4, 5, 7)
    assert not order._is_proven(run), "a loader needs rung 1"
    climb(1)
    assert order._is_proven(run)
    climb(8, rung_8="unsupported")
    assert not order._is_proven(run), "what was unsupported is tried again"
    climb(8)
    assert order._is_proven(run)
    climb(8, rung_8="fail")
    assert not order._is_proven(run)


@pytest.mark.parametrize("change", [_other_weights, _other_export, lambda run: ir(run, "model.int8.xml")])
def test_what_was_made_anew_is_not_proven(
    run: folder.RunFolder, climb: Climb, change: Callable[[folder.RunFolder], Path | None]
) -> None:
    climb(*ladder.QUICK)
    path = change(run)
    if path:
        write_text(path, "quantised anew")
    assert not order._is_proven(run)


def test_an_upgrade_is_climbed_for_again(
    run: folder.RunFolder, climb: Climb, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = runtimes.versions() | {"torch": "2.14.1"}
    monkeypatch.setattr(runtimes, "versions", lambda: now)
    climb(*ladder.QUICK)
    assert order._is_proven(run)
    monkeypatch.setattr(runtimes, "versions", lambda: now | {"pydantic": "99"})
    assert order._is_proven(run), "it has no part in a network"
    monkeypatch.setattr(runtimes, "versions", lambda: now | {"torch": "2.15.0"})
    assert not order._is_proven(run)
