"""A run of given weights: what takes the place of a training, and what must not be lost to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.run import folder
from bench.run.folder import RunFolder
from bench.stages import importing, order
from pose import architecture, weights
from pose.errors import UserError
from pose.files import read_json, write_text
from reports.page import header, summary
from reports.run import missing as missing_
from reports.run.read import read
from reports.tables import headline
from twinpose.run import do_stages, train_twins

AP = 0.704


@pytest.fixture
def run(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Return a run of no training yet, whose predictions score AP."""

    def predict(run: RunFolder, **asked: Any) -> dict[str, Any]:
        assert asked["part"] == "val"
        assert asked["artifact"].exists()
        write_text(asked["out"], "[]")
        return {"numbers": {"AP": AP}}

    monkeypatch.setattr(importing, "predict", predict)
    (run_folder / "train" / "torch" / "best.safetensors").unlink()
    return folder.opened(run_folder)


def given(run: RunFolder, seed: int = 0) -> Path:
    path = run.path.parent / f"official-{seed}.safetensors"
    weights.save(path, weights.generic(architecture.build(run.recipe.model), seed), {"channel_order": "rgb"})
    return path


def test_both_twins_hold_the_given_weights_and_know_their_source(run: RunFolder) -> None:
    path = given(run)
    for twin in ("tf", "torch"):
        made = importing.place(run, twin, path)
        assert (made["best_ap"], made["best_epoch"], made["imported"]["name"]) == (AP, 0, path.name)
        assert made["imported"]["channel_order"] == "rgb"
        held = weights.read(run.train_folder(twin) / "best.safetensors")
        assert weights.fingerprint(held) == weights.fingerprint(weights.read(path))
        assert importing.is_placed(run, twin, path)
        assert (run.train_folder(twin) / "predictions" / "epoch_0000.json").exists()
    names = [stage.name for stage in order.sequence(run, uncertified=True, given=path)]
    assert names[:2] == ["weights tf", "weights torch"]
    assert all(stage.holds() for stage in order.sequence(run, given=path)[:2])
    assert all(stage.holds() for stage in order.sequence(run)[:2]), "the run goes on without the file"


def test_other_weights_are_placed_anew_and_what_is_not_whole_is_refused(run: RunFolder) -> None:
    importing.place(run, "torch", given(run))
    other = given(run, seed=1)
    assert not importing.is_placed(run, "torch", other)
    importing.place(run, "torch", other)
    before = {p: p.read_bytes() for p in run.train_folder("torch").rglob("*") if p.is_file()}
    lacking = {name: value for name, value in weights.read(other).items() if name != "final_layer.bias"}
    broken = run.path.parent / "broken.safetensors"
    weights.save(broken, lacking)
    with pytest.raises(UserError, match=r"final_layer\.bias"):
        importing.place(run, "torch", broken)
    weights.save(broken, {**lacking, "final_layer.bias": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match=r"final_layer\.bias"):
        importing.place(run, "torch", broken)
    assert {p: p.read_bytes() for p in run.train_folder("torch").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("left", ["summary.json", "epochs.jsonl", "state.safetensors"])
@pytest.mark.parametrize("twin", ["tf", "torch"])
def test_a_training_is_not_replaced(run: RunFolder, twin: str, left: str) -> None:
    write_text(run.train_folder(twin) / left, '{"best_epoch": 1}')
    with pytest.raises(UserError, match=rf"has a training of {twin}, which --weights .* would replace"):
        do_stages(run, uncertified=True, given=given(run))
    for name in ("tf", "torch"):
        assert not (run.train_folder(name) / "best.safetensors").exists()


@pytest.mark.parametrize("first", ["tf", "torch"])
def test_imported_weights_are_not_trained_over_nor_beside(run: RunFolder, first: str) -> None:
    importing.place(run, first, given(run))
    with pytest.raises(UserError, match=r"has the imported weights official-0\.safetensors in the place"):
        train_twins(run, ["tf", "torch"])
    with pytest.raises(UserError, match=rf"has imported weights for {first} alone; give the same --weights"):
        do_stages(run, uncertified=True, given=None)
    importing.require_one_source(run, given(run))
    importing.place(run, {"tf": "torch", "torch": "tf"}[first], given(run))
    importing.require_one_source(run, None)


def test_what_was_made_of_other_weights_is_made_anew(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for twin in ("tf", "torch"):
        importing.place(run, twin, given(run))
    write_text(run.path / "test.json", '{"split": null}')
    write_text(run.path / "samples" / "made_from.json", '{"tf": 0, "torch": 0}')
    write_text(run.path / "samples" / "samples.json", "[]")
    stages_of = {stage.name: stage for stage in order.sequence(run, uncertified=True)}
    assert stages_of["test"].holds()
    assert stages_of["samples"].holds()

    def interrupted(run: RunFolder, **asked: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        importing.place(run, "tf", given(run, seed=1))
    assert not stages_of["test"].holds()
    assert not stages_of["samples"].holds()
    assert not importing.is_placed(run, "tf", given(run)), "what lies there is the other file's"


def test_the_report_says_that_nothing_was_trained(run: RunFolder) -> None:
    for twin in ("tf", "torch"):
        importing.place(run, twin, given(run))
    opened = read(run.path)
    assert not any("training" in missing.part for missing in missing_.missing(opened))
    table = headline.headline(opened)
    assert [row.values[0] for row in table.rows] == ["Validation, imported weights", "Test, scored once"]
    assert table.rows[0].values[1:] == (AP, AP, 0.0)
    assert any("the weights are those of official-0.safetensors" in s for s in summary.sentences(opened))
    named = {fact.name: fact.value for _, group in header.header(opened) for fact in group}
    assert named["Channel order"] == "rgb"
    assert named["Weights"] == "imported: official-0.safetensors"
    assert (
        named["File SHA-256"] == read_json(run.train_folder("tf") / "summary.json", "x")["imported"]["sha256"]
    )
    assert "Training" not in named
