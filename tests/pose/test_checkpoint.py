"""Checkpoints: a kill at any moment leaves a training that can go on."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose import checkpoint, recipe, splits, tensorboard, training, weights
from pose.errors import UserError
from pose.training_section import Training

ROOT = Path(__file__).resolve().parents[2]
OF = Training(epochs=9, batch_size=1)
PUBLISHED = ("last.safetensors", "best.safetensors", "epochs.jsonl")


def state_after(aps: list[float]) -> checkpoint.State:
    """Return the state after as many epochs as there are APs; its tensors hold the epoch's number."""
    progress = training.start(OF)
    for epoch, ap in enumerate(aps, 1):
        line = {"epoch": epoch, "lr": progress.lr, "train_loss": 1 / epoch, "val_loss": 1 / epoch, "ap": ap}
        progress = training.advance(progress, OF, line)
    count = len(aps)
    model = {"conv1.weight": np.full((2, 3), count, np.float32), "bn1.running_var": np.ones(4, np.float32)}
    optimizer = {"conv1.weight/m": np.full((2, 3), -count, np.float32), "step": np.array(count, np.int64)}
    return checkpoint.State(progress, model, optimizer)


def commit_each(out: Path, aps: list[float]) -> None:
    for count in range(1, len(aps) + 1):
        checkpoint.commit(out, state_after(aps[:count]), "me")


def same(a: weights.Weights, b: weights.Weights) -> bool:
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


def test_nothing_to_resume_is_a_fresh_start(tmp_path):
    assert checkpoint.resume(tmp_path, "me") is None
    assert list(tmp_path.iterdir()) == []


def test_a_state_comes_back_as_it_was_committed(tmp_path):
    commit_each(tmp_path, [0.1, 0.3, 0.2])
    expected, found = state_after([0.1, 0.3, 0.2]), checkpoint.resume(tmp_path, "me")
    assert found is not None
    assert found.progress == expected.progress
    assert same(found.model, expected.model)
    assert same(found.optimizer, expected.optimizer)


def test_last_best_and_lines_are_published(tmp_path):
    commit_each(tmp_path, [0.1, 0.3, 0.2])
    last, of_last = weights.read_with_metadata(tmp_path / "last.safetensors")
    best, of_best = weights.read_with_metadata(tmp_path / "best.safetensors")
    assert (of_last, of_best) == ({"epoch": 3, "ap": 0.2}, {"epoch": 2, "ap": 0.3})
    assert same(last, state_after([0.1, 0.3, 0.2]).model)
    assert same(best, state_after([0.1, 0.3]).model)
    lines = [json.loads(line) for line in (tmp_path / "epochs.jsonl").read_text().splitlines()]
    assert lines == state_after([0.1, 0.3, 0.2]).progress.lines


def test_the_events_of_tensorboard_are_those_of_every_epoch(tmp_path):
    """And are made anew where they are lost; the time that they begin at is then a little later."""
    commit_each(tmp_path, [0.1, 0.3])
    events = tmp_path / tensorboard.FILE
    length = len(events.read_bytes())
    events.unlink()
    checkpoint.resume(tmp_path, "me")
    assert (
        len(events.read_bytes())
        == length
        == len(tensorboard.events(state_after([0.1, 0.3]).progress.lines, 0.0))
    )


@pytest.mark.parametrize("lost", [PUBLISHED[:1], PUBLISHED[1:2], PUBLISHED[2:], PUBLISHED])
def test_what_a_kill_left_unpublished_is_published_on_resuming(tmp_path, lost):
    commit_each(tmp_path, [0.1, 0.3])
    before = {name: (tmp_path / name).read_bytes() for name in PUBLISHED}
    for name in lost:
        (tmp_path / name).unlink()
    checkpoint.resume(tmp_path, "me")
    assert {name: (tmp_path / name).read_bytes() for name in PUBLISHED} == before


def test_a_stale_best_is_replaced_when_the_last_epoch_is_the_best(tmp_path):
    commit_each(tmp_path, [0.1])
    old = (tmp_path / "best.safetensors").read_bytes()
    commit_each(tmp_path, [0.1, 0.3])
    (tmp_path / "best.safetensors").write_bytes(old)
    checkpoint.resume(tmp_path, "me")
    assert weights.read_with_metadata(tmp_path / "best.safetensors")[1]["epoch"] == 2


def test_a_best_that_cannot_be_made_anew_is_asked_for(tmp_path):
    commit_each(tmp_path, [0.1])
    other = (tmp_path / "best.safetensors").read_bytes()
    commit_each(tmp_path, [0.1, 0.3, 0.2])
    (tmp_path / "best.safetensors").write_bytes(other)
    with pytest.raises(UserError, match=r"best\.safetensors is of epoch 1; expected epoch 2"):
        checkpoint.resume(tmp_path, "me")
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(
        UserError, match=r"best\.safetensors is lost; expected epoch 2.*remove .* to train again"
    ):
        checkpoint.resume(tmp_path, "me")
    (tmp_path / "best.safetensors").write_bytes(other[:-1])
    with pytest.raises(UserError, match=r"best\.safetensors is damaged; expected epoch 2"):
        checkpoint.resume(tmp_path, "me")


def test_nothing_is_published_before_its_state_is_in_place(tmp_path, monkeypatch):
    commit_each(tmp_path, [0.1])
    before = {name: (tmp_path / name).read_bytes() for name in PUBLISHED}
    save = weights.save

    def disk_full(path: Path, *rest: object) -> None:
        if path.name == "state.safetensors":
            raise UserError("disk full")
        save(path, *rest)

    monkeypatch.setattr(weights, "save", disk_full)
    with pytest.raises(UserError, match="disk full"):
        checkpoint.commit(tmp_path, state_after([0.1, 0.3]), "me")
    assert {name: (tmp_path / name).read_bytes() for name in PUBLISHED} == before


def test_the_state_of_another_training_is_refused_and_left_alone(tmp_path):
    commit_each(tmp_path, [0.1])
    before = (tmp_path / "state.safetensors").read_bytes()
    with pytest.raises(UserError, match="belongs to another recipe, split or start"):
        checkpoint.resume(tmp_path, "another")
    assert (tmp_path / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_state_is_refused(tmp_path, share):
    commit_each(tmp_path, [0.1])
    path = tmp_path / "state.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"cannot read weights from .*state\.safetensors"):
        checkpoint.resume(tmp_path, "me")


@pytest.mark.parametrize("progress", [None, 7, [], {"lr": 1.0, "speed": 3}, {}])
def test_a_state_without_its_progress_is_refused(tmp_path, progress):
    metadata = {"identity": "me"} | ({} if progress is None else {"progress": progress})
    weights.save(tmp_path / "state.safetensors", {"model/a": np.zeros(2)}, metadata)
    with pytest.raises(UserError, match="has no training progress"):
        checkpoint.resume(tmp_path, "me")


def test_what_decides_the_result_is_in_the_identity_and_nothing_else(drawn, small, tmp_path):
    initial = tmp_path / "init.safetensors"
    weights.save(initial, {"a": np.zeros(3)})
    of = small.model_copy(update={"split": recipe.Split()})
    job = training.TrainingJob(of, drawn, splits.make(of.split, drawn), initial, tmp_path, "cpu", 1, 0)
    base = checkpoint.identity(job)
    renamed = of.model_copy(update={"name": "other", "matrix": "x"})
    for other in (
        replace(job, coco=Path("elsewhere"), threads=8, workers=3, device="cuda"),
        replace(job, recipe=renamed),
    ):
        assert checkpoint.identity(other) == base
    larger = of.training.model_copy(update={"batch_size": 5})
    for other in (
        replace(job, recipe=of.model_copy(update={"training": larger})),
        replace(job, manifest=replace(job.manifest, method="another")),
    ):
        assert checkpoint.identity(other) != base
    weights.save(initial, {"a": np.ones(3)})
    assert checkpoint.identity(job) != base


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_checkpoint
chance = random.Random(0)
for attempt in range(20):
    child = os.fork()
    if child == 0:
        test_checkpoint.commit_forever(Path(sys.argv[1]) / str(attempt))
    time.sleep(chance.uniform(0, 0.12))
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""


def commit_forever(out: Path) -> None:
    aps: list[float] = []
    while True:
        aps.append(ap_of(len(aps)))
        checkpoint.commit(out, state_after(aps), "me")


def ap_of(index: int) -> float:
    """Every second epoch is a new best, so that best is often not the last."""
    return float(index if index % 2 == 0 else 0)


def test_a_kill_in_the_middle_of_commits_leaves_a_state_that_can_be_resumed(tmp_path):
    """Twenty processes that do nothing but commit are killed after 0 to 120 ms each."""
    command = [sys.executable, "-c", KILLER, str(tmp_path), str(Path(__file__).parent)]
    subprocess.run(command, cwd=ROOT, check=True)
    epochs = []
    for out in (tmp_path / str(attempt) for attempt in range(20)):
        state = checkpoint.resume(out, "me")
        if state is None:
            continue
        epoch = state.progress.epoch
        epochs.append(epoch)
        expected = state_after([ap_of(i) for i in range(epoch)])
        assert state.progress == expected.progress
        assert same(state.model, expected.model)
        assert same(state.optimizer, expected.optimizer)
        assert weights.read_with_metadata(out / "last.safetensors")[1]["epoch"] == epoch
        assert weights.read_with_metadata(out / "best.safetensors")[1]["epoch"] == state.progress.best_epoch
        assert len((out / "epochs.jsonl").read_text().splitlines()) == epoch
    assert max(epochs) > 1
