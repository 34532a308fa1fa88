"""What a training step and a loader do between two looks at the clock, of a twin that needs no framework."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_jobs import PROTOCOL, job, measured, payload

from bench.scenarios import data, training
from pose import coco
from pose import recipe as recipes
from pose.errors import UserError

pytestmark = pytest.mark.usefixtures("opencv_threads")


# A twin that needs no framework


@dataclass(frozen=True)
class Batch:
    images: np.ndarray
    heatmaps: np.ndarray
    weights: np.ndarray
    annotation_ids: np.ndarray


class Loader:
    """Makes batches (epoch, instance) of the recipe's size, the last one of an epoch smaller."""

    ended = False

    def __init__(self, instances: coco.Dataset, recipe: recipes.Recipe, workers: int):
        self.count, self.size, self.workers = len(instances), recipe.training.batch_size, workers
        self.epochs: list[int] = []
        Loader.ended = False

    def batches(self, epoch: int) -> Iterator[Batch]:
        self.epochs.append(epoch)
        ids = np.arange(self.count)
        try:
            for start in range(0, self.count, self.size):
                chosen = ids[start : start + self.size]
                yield Batch(chosen.astype(np.uint8), chosen * 1.0, chosen * 2.0, chosen)
        finally:
            Loader.ended = epoch > 1


class Steps:
    """A training whose loss is what a test put into `loss`."""

    loss = 1.0

    def __init__(self, recipe: recipes.Recipe, initial: Path, device: str, threads: int):
        self.training, self.threads, self.seen = recipe.training, threads, []

    def _part(self, batch: Batch) -> float:
        self.seen.append(batch.annotation_ids.tolist())
        return self.loss

    transfer = forward = backward = step = _part

    def effective(self) -> dict[str, Any]:
        return {"precision": self.training.precision, "threads": self.threads}


@pytest.fixture
def fake_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the twin `fake` be found: six people train it, in the run folder of these tests."""

    def describe(loader: Loader) -> dict[str, Any]:
        return {"workers": loader.workers}

    modules: dict[str, dict[str, Any]] = {
        "phases": {"Steps": Steps, "describe": describe},
        "data": {"Loader": Loader, "Batch": Batch},
        "train": {"setup": lambda device, threads: None},
    }
    monkeypatch.setitem(sys.modules, "fake_impl", types.ModuleType("fake_impl"))
    for name, content in modules.items():
        module = types.ModuleType(f"fake_impl.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)


# Training


def test_steps_a_second_are_those_of_the_measured_window(run_folder: Path, fake_twin: None):
    found, samples = measured(payload(run_folder, "train", batch=4))
    steps_ns = samples["step_ns"]
    assert found["count"] == found["stats"]["n"] == len(steps_ns)
    assert found["value"] == found["stats"]["steps_per_s"] == len(steps_ns) / (steps_ns.sum() / 1e9)
    assert found["stats"]["images_per_s"] == 4 * found["value"]
    assert {"import", "load", "first", "warmup", "measured", "parts"} <= set(found["phases_s"])
    assert found["stats"]["phases_ms"]["to_device"] is None
    parts = {len(samples[f"parts_{name}_ns"]) for name in ("forward", "backward", "step")}
    assert len(parts) == 1
    assert parts.pop() >= training.LEAST_PARTS


@pytest.mark.parametrize(("precision", "trained"), [("fp32", "float32"), ("bf16", "mixed_bfloat16")])
def test_the_cell_decides_batch_threads_and_precision(
    run_folder: Path, fake_twin: None, precision: str, trained: str
):
    found, _ = measured(payload(run_folder, "train", batch=4, threads=1, precision=precision))
    said = {"precision": trained, "threads_set": 1, "batch": 4, "fed_from": "memory"}
    assert found["effective"].items() >= said.items()
    assert found["effective"].keys() - said.keys() == {"threads_computed"}


@pytest.mark.parametrize("batch", [1, 4, 20])
def test_steps_are_fed_whole_batches_in_which_every_sample_keeps_its_target(
    run_folder: Path, fake_twin: None, batch: int
):
    subject = training.TrainingSteps(job(payload(run_folder, "train", batch=batch)))
    assert [len(fed.images) for fed in subject.batches] == [batch] * training.BATCHES
    for fed in subject.batches:
        np.testing.assert_array_equal(fed.images, fed.annotation_ids)
        np.testing.assert_array_equal(fed.heatmaps, fed.annotation_ids)
        np.testing.assert_array_equal(fed.weights, 2 * fed.annotation_ids)
    ids = np.concatenate([fed.annotation_ids for fed in subject.batches])
    np.testing.assert_array_equal(ids, np.arange(training.BATCHES * batch) % min(6, training.BATCHES * batch))
    for number in range(6):
        subject.once(number)
    assert subject.steps.seen[:4] == [fed.annotation_ids.tolist() for fed in subject.batches]
    assert subject.steps.seen[4:] == subject.steps.seen[:2]


def test_a_loss_that_is_not_finite_is_no_measurement(
    run_folder: Path, fake_twin: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Steps, "loss", float("nan"))
    with pytest.raises(UserError, match=r"the loss became nan .* lower training.learning_rate"):
        measured(payload(run_folder, "train"))


def test_the_way_to_a_device_is_a_phase_of_its_own(run_folder: Path, fake_twin: None):
    found, samples = measured(payload(run_folder, "train", device="cuda"))
    assert found["stats"]["phases_ms"]["to_device"] > 0
    assert len(samples["parts_to_device_ns"]) == len(samples["parts_step_ns"])


NANOSECONDS = st.lists(st.integers(1, 10**12), min_size=1, max_size=9).map(np.array)


@given(NANOSECONDS, NANOSECONDS, NANOSECONDS, st.none() | NANOSECONDS)
def test_the_phases_of_a_step_add_up_to_it(
    forward: np.ndarray, backward: np.ndarray, step: np.ndarray, to_device: np.ndarray | None
):
    parts = {"forward": forward, "backward": backward, "step": step}
    found = training.phases_ms(parts if to_device is None else {"to_device": to_device, **parts})
    assert (found["to_device"] is None) == (to_device is None)
    phases = [found[name] or 0.0 for name in ("to_device", "forward", "backward", "optimizer")]
    assert sum(phases) == pytest.approx(found["step"], abs=1e-6)


@pytest.mark.parametrize(("profile", "again"), [("quick", False), ("standard", True), ("official", True)])
def test_quick_takes_a_step_apart_in_a_cells_first_round_alone(
    run_folder: Path, fake_twin: None, profile: str, again: bool
) -> None:
    asked = payload(run_folder, "train", batch=4, protocol=PROTOCOL | {"profile": profile})
    for first in (True, False):
        found, samples = measured(asked | {"first": first})
        parted = first or again
        assert ("phases_ms" in found["stats"]) == ("parts_step_ns" in samples) == parted
        assert ("parts" in found["phases_s"]) == parted
        assert found["stats"]["n"] == len(samples["step_ns"])


def test_parts_are_measured_in_turn():
    seen: list[tuple[str, int]] = []
    actions = {name: lambda given, name=name: seen.append((name, given)) for name in ("a", "b")}
    spent = training.in_turn(actions, [1, 2], 0.0)
    rounds = [(name, 1 + number % 2) for number in range(training.LEAST_PARTS) for name in ("a", "b")]
    assert seen == rounds
    assert {name: len(values) for name, values in spent.items()} == dict.fromkeys("ab", training.LEAST_PARTS)


# Loading


def test_samples_a_second_count_what_the_measured_blocks_gave(run_folder: Path, fake_twin: None):
    found, samples = measured(payload(run_folder, "data", batch=4, threads=1))
    made, block_ns = samples["block_samples"], samples["block_ns"]
    assert made.shape == block_ns.shape
    # Six people in batches of four: an epoch is two batches and one block, its second batch is smaller.
    assert set(made.tolist()) == {6}
    assert found["count"] == found["stats"]["n"] == made.sum()
    assert found["value"] == found["stats"]["samples_per_s"] == made.sum() / (block_ns.sum() / 1e9)
    limit = found["stats"]["decode_and_warp_per_s"]
    assert limit > 0
    assert found["stats"]["ratio_to_decode_and_warp"] == found["value"] / limit
    said = found["effective"]
    assert (said["workers"], said["batch"], said["block_batches"], said["pipeline"]) == (1, 4, 2, "shared")


def test_epochs_follow_each_other_and_the_loader_ends_before_its_limit_is_measured(
    run_folder: Path, fake_twin: None, monkeypatch: pytest.MonkeyPatch
):
    subject = data.DataLoading(job(payload(run_folder, "data", batch=4, threads=1)))
    ended: list[bool] = []
    monkeypatch.setattr(data, "decode_and_warp_per_s", lambda *given: ended.append(Loader.ended) or 1.0)
    loader = subject.batches.gi_frame.f_locals["loader"]
    for number in range(3):
        subject.once(number)
    assert loader.epochs == [1, 2, 3]
    subject.start()
    subject.once(0)
    summary = subject.summarise(np.array([10**9]))
    assert (summary.value, summary.count) == (6.0, 6)
    assert ended == [True]


@given(st.integers(1, 10_000), st.integers(1, 200), st.integers(1, 64))
def test_a_block_is_some_batches_of_every_worker_or_whole_epochs(people: int, batch: int, workers: int):
    block = data.batches_of_a_block(people, batch, workers)
    epoch = -(-people // batch)
    assert block >= data.BATCHES_OF_A_WORKER * workers
    assert block % epoch == 0 or block * data.SHORT_EPOCH <= epoch
    assert block <= 2 * data.SHORT_EPOCH * data.BATCHES_OF_A_WORKER * workers
