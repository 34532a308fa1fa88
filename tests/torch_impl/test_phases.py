"""The parts of a training step are the step's own work, and the bench measures them and the loader."""

from __future__ import annotations

from pathlib import Path

import lanes
import numpy as np
import pytest
import scenario_children
import twins

pytest.importorskip("torch")

import psutil

from bench.contract import STRICT_ENVIRONMENT
from pose import architecture, coco, weights
from torch_impl import data, phases


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> phases.Steps:
    """Return the tiny twin's step, without what `setup` would change for every test of this process."""
    monkeypatch.setattr(phases.train, "setup", lambda device, threads: None)
    monkeypatch.setattr(phases.runner, "set_strict_fp32", lambda: None)
    initial = weights.initial(architecture.build(twins.tiny().model), 0)
    weights.save(tmp_path / "init.safetensors", initial)
    return phases.Steps(twins.tiny(), tmp_path / "init.safetensors", "cpu", 1)


def parameters(steps: phases.Steps) -> dict[str, np.ndarray]:
    named = phases.model.read_weights(steps.net)
    return {name: value for name, value in named.items() if "running" not in name}


def test_parts_give_the_steps_loss_and_leave_the_weights_to_the_step(steps: phases.Steps) -> None:
    batch = data.Batch(*twins.noisy_batch(twins.tiny(), 4))
    before = parameters(steps)
    steps.transfer(batch)
    losses = [steps.forward(batch), steps.backward(batch)]
    assert all(np.array_equal(value, before[name]) for name, value in parameters(steps).items())
    losses.append(steps.step(batch))
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    assert not all(np.array_equal(value, before[name]) for name, value in parameters(steps).items())
    assert steps.step(batch) < losses[-1]
    assert steps.device_memory_bytes() is None


def test_a_step_of_the_recipes_precision_is_measured_in_it(tmp_path: Path) -> None:
    found, samples = scenario_children.measured(tmp_path, "torch", "train", precision="bf16")
    said = found["effective"]
    assert (said["precision"], said["parameters"]) == ("mixed_bfloat16", "float32")
    assert (said["threads_set"], said["batch"], said["mode"]) == (2, 4, "eager")
    assert (said["deterministic"], said["tf32"]) == (True, False)
    assert said["runtime"].startswith("torch 2.")
    steps_ns = samples["step_ns"]
    assert found["value"] == pytest.approx(len(steps_ns) / (steps_ns.sum() / 1e9))
    assert found["stats"]["phases_ms"]["forward"] > 0
    assert found["stats"]["phases_ms"]["step"] > found["stats"]["phases_ms"]["forward"]


@pytest.mark.slow
def test_a_train_cell_sets_what_the_runner_sets_in_its_lane(tmp_path: Path) -> None:
    found, _ = scenario_children.measured(tmp_path, "torch", "train", env=lanes.LOOSE)
    inferring = lanes.effective("torch", lanes.twin(tmp_path), env=lanes.LOOSE)
    said = found["effective"]
    assert said["precision"] == "float32"
    assert {name: said["switches"][name] for name in STRICT_ENVIRONMENT} == STRICT_ENVIRONMENT
    assert (said["switches"], said["onednn"]) == (inferring["switches"], inferring["onednn"])


def test_a_loader_is_measured_with_the_cells_workers(tmp_path: Path) -> None:
    found, samples = scenario_children.measured(tmp_path, "torch", "data")
    said = found["effective"]
    assert (said["workers"], said["workers_are"], said["opencv_threads"]) == (2, "processes", 1)
    made = samples["block_samples"]
    assert len(set(made.tolist())) == 1
    assert found["count"] == made.sum()
    assert found["value"] == pytest.approx(made.sum() / (samples["block_ns"].sum() / 1e9))
    assert found["stats"]["ratio_to_decode_and_warp"] > 0


def test_a_loader_that_is_dropped_takes_its_workers_with_it(tmp_path: Path) -> None:
    instances = coco.load(twins.dataset(tmp_path), "train2017")
    loader = data.Loader(instances, twins.tiny(), 1)
    batches = loader.batches(1)
    next(batches)
    assert workers()
    batches.close()
    del loader, batches
    assert workers() == []


def workers() -> list[int]:
    """Return the process ids of this process's loader workers."""
    children = psutil.Process().children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
