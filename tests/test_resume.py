"""A training that was killed ends as one that was not: both twins, real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import twins

from bench.process import environment, launch

DEATHS = (
    *("batch 2 8", "before state.safetensors 1"),
    *("after best.safetensors 1", "after state.safetensors 1", "before epochs.jsonl 1"),
)
"""When each process of a training dies; the next one goes on, and counts its own files. The first two die
in epoch 2 and before it is saved; of the last three the second saves epoch 2, and the third publishes it.
"""


@pytest.fixture(scope="module", params=twins.EITHER)
def uninterrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    payload = twins.job(folder, twins.dataset(folder / "coco"), twins.tiny())
    assert _train(request.param, payload, folder / "child").status == "ok"
    return {"twin": request.param, "folder": folder, "payload": payload}


def _train(twin: str, payload: dict[str, Any], folder: Path, kill: str | None = None) -> launch.Outcome:
    entry = "training_children:train" if kill else f"{twin}_impl.train:train"
    extra = {"kill": kill, "twin": twin} if kill else {}
    env = environment.thread_environment(1) | {"PYTHONPATH": str(Path(__file__).parent)}
    return launch.call(entry, payload | extra, folder, env=env, timeout_s=240)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_that_is_killed_again_and_again_resumes_to_the_same_end(
    uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    twin = uninterrupted["twin"]
    payload = uninterrupted["payload"] | {"out": str(tmp_path / "train")}
    for moment in DEATHS:
        killed = _train(twin, payload, tmp_path / "child", kill=moment)
        assert (killed.status, "SIGKILL" in str(killed.reason)) == ("failed", True), killed
    resumed = _train(twin, payload, tmp_path / "child")
    assert resumed.status == "ok", resumed.reason
    tensors, lines = twins.end_state(uninterrupted["folder"] / "train")
    again, lines_again = twins.end_state(tmp_path / "train")
    assert lines_again == lines
    assert tensors.keys() == again.keys()
    assert not [name for name in tensors if not np.array_equal(tensors[name], again[name])]


def test_a_checkpoint_of_another_recipe_is_refused(uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    changed = uninterrupted["payload"] | {"recipe": twins.tiny(learning_rate=0.5).model_dump(mode="json")}
    outcome = _train(uninterrupted["twin"], changed, tmp_path / "child")
    assert outcome.status == "user_error"
    assert "belongs to another recipe" in str(outcome.reason)


def test_a_loss_that_is_not_finite_names_the_annotations(
    uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    recipe = twins.tiny(learning_rate=1e38, epochs=2).model_dump(mode="json")
    payload = uninterrupted["payload"] | {"recipe": recipe, "out": str(tmp_path / "train")}
    outcome = _train(uninterrupted["twin"], payload, tmp_path / "child")
    assert outcome.status == "user_error"
    assert "the loss became" in str(outcome.reason)
    assert "annotations" in str(outcome.reason)
