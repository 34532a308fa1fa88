"""What a climb writes: statuses, the first failure, an id that times and machines do not change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twins

from bench.parity import climb as climb_
from bench.parity import document
from bench.parity import ladder as ladder_
from bench.parity.certificate import Check, Parity, Rung
from bench.parity.rungs.base import Context, within
from bench.process.launch import ChildFailed
from pose.errors import Unsupported, UserError
from pose.weights import save
from twinpose import parity as command

STARTED = datetime(2026, 1, 2, tzinfo=UTC)
GOOD = Check("heatmaps", 1e-15, 1e-12, True, "why")
BAD = Check("gradients", 1e-3, 1e-11, False, "why", "bn1.weight")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(twins.tiny(), tmp_path, tmp_path, tmp_path, tmp_path, 1)


def climbed(monkeypatch: pytest.MonkeyPatch, context: Context, *found: Any) -> dict[str, Any]:
    """Return the certificate of a ladder whose rungs 2, 3 ... give (or raise) what is found."""

    def rung(what: Any) -> Any:
        def climb(_: Context) -> list[Check]:
            if isinstance(what, Exception):
                raise what
            return what

        return climb

    steps = {number: rung(what) for number, what in enumerate(found, 2)}
    ladder = tuple(replace(step, climb=steps.get(step.number, step.climb)) for step in ladder_.LADDER)
    monkeypatch.setattr(ladder_, "LADDER", ladder)
    rungs, arms = ladder_.climb(context, [], {}, tuple(steps))
    return document.as_json(document.document(context, rungs, arms, [], "twinpose parity", STARTED))


def test_a_ladder_whose_rungs_pass_passes(monkeypatch: pytest.MonkeyPatch, context: Context) -> None:
    found = climbed(monkeypatch, context, [GOOD], [GOOD, replace(GOOD, passed=None)])
    assert (found["status"], found["first_failure"]) == ("pass", None)
    assert [rung["status"] for rung in found["rungs"]] == ["not climbed", "pass", "pass"] + [
        "not climbed"
    ] * 5


def test_the_first_failing_rung_is_named_with_its_place_and_the_climb_goes_on(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    found = climbed(monkeypatch, context, [GOOD], [GOOD, BAD], [BAD])
    assert found["status"] == "fail"
    assert found["first_failure"] == {
        "rung": 3, "name": "Forward", "check": "gradients", "where": "bn1.weight",
    }  # fmt: skip
    assert found["rungs"][3]["status"] == "fail"


def test_a_child_that_crashed_is_a_rung_that_failed(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    found = climbed(monkeypatch, context, ChildFailed("killed by SIGSEGV"))
    assert found["first_failure"]["check"] == "killed by SIGSEGV"


def test_a_mistake_in_what_was_given_ends_the_climb(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    with pytest.raises(UserError, match="cannot read weights"):
        climbed(monkeypatch, context, UserError("cannot read weights"))


def test_a_framework_that_is_absent_is_neither_passed_nor_failed(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    found = climbed(monkeypatch, context, Unsupported("tensorflow is not installed"))
    assert found["status"] == "unsupported"
    assert found["rungs"][1]["reason"] == "tensorflow is not installed"


def test_the_id_is_of_what_was_found_and_not_of_when(
    monkeypatch: pytest.MonkeyPatch, context: Context
) -> None:
    first = climbed(monkeypatch, context, [GOOD])
    rungs, arms = ladder_.climb(context, [], {}, (2,))
    again = document.document(context, rungs, arms, [], "another command", datetime.now(UTC))
    assert first["id"] == again.id
    other = climbed(monkeypatch, context, [replace(GOOD, measured=2e-15)])
    assert other["id"] != first["id"]


def test_an_error_that_is_no_number_never_passes() -> None:
    check = within("gradients", {"a": 1e-15, "b": float("nan")}, 1e-11, "why")
    assert (check.passed, check.where) == (False, "b")


def test_a_run_is_no_folder_to_climb_a_recipe_in(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "parity.json").write_text("its own")
    with pytest.raises(UserError, match=r"is a run.*expected a folder of its own; 'twinpose parity "):
        climb_recipe(tmp_path)
    assert (tmp_path / "parity.json").read_text() == "its own"


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_a_folder_that_no_climb_made_is_not_emptied(tmp_path: Path, kind: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    (elsewhere / climb_.MARK).write_text("{}")
    if kind == "folder":
        (out / "parity").mkdir()
        (out / "parity" / "thesis.tex").write_text("years of work")
    elif kind == "file":
        (out / "parity").write_text("a note")
    else:
        (out / "parity").symlink_to(elsewhere)
    with pytest.raises(UserError, match=r"was not made by 'twinpose parity'.*; move it, or give another"):
        climb_recipe(out)
    assert [path.name for path in out.iterdir()] == ["parity"]
    assert (elsewhere / climb_.MARK).exists()


def test_what_an_earlier_climb_left_is_emptied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ladder_, "climb", lambda *_: ([Rung(2, "Weights", "fail", "x")], []))
    coco = twins.dataset(tmp_path / "coco")
    assert climb_recipe(tmp_path / "out", coco).status == "fail"
    (tmp_path / "out" / "parity" / "probe.npz").write_text("of that climb")
    assert climb_recipe(tmp_path / "out", coco).status == "fail"
    assert not (tmp_path / "out" / "parity" / "probe.npz").exists()


def climb_recipe(out: Path, coco: Path | None = None) -> Parity:
    wanted = climb_.ClimbRequest((2,), "twinpose parity")
    return climb_.recipe(twins.tiny(), out, wanted, coco=coco, given=None, threads=1)


def test_the_command_that_is_recorded_climbs_the_same_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    climbed: list[climb_.ClimbRequest] = []

    def refuse(recipe: Any, out: Path, wanted: climb_.ClimbRequest, **_: Any) -> None:
        climbed.append(wanted)
        raise UserError("far enough")

    monkeypatch.setattr(climb_, "recipe", refuse)
    out, sets, given = tmp_path / "a folder", ["training.epochs=3", "name=a b"], tmp_path / "w"
    save(given, {"a": np.ones(2)})
    with pytest.raises(UserError, match="far enough"):
        command.parity(
            recipe="smoke",
            set_=sets,
            out=out,
            rungs="2,3",
            coco=Path("c d"),
            weights=given,
            threads=3,
            device="cpu",
        )
    with pytest.raises(UserError, match="far enough"):
        command.parity(recipe="smoke")
    assert climbed[0].command == (
        f"twinpose parity --recipe smoke --set training.epochs=3 --set 'name=a b' --weights {given} "
        f"--coco 'c d' --rungs 2,3 --threads 3 --device cpu --out '{out}'"
    )
    assert climbed[1].command == "twinpose parity --recipe smoke"
