"""What can be said before the ladder stands: same batch, same start, same first step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import twins

from bench import launch
from bench.contract import TWINS
from pose import weights


def step(payload: dict[str, str], emit: object) -> dict[str, float]:
    """Write one step's weights, optimizer state and heatmaps of a twin (runs in the child)."""
    import importlib

    from pose import architecture

    twin, out = payload["twin"], Path(payload["out"])
    model, data, train = (
        importlib.import_module(f"{twin}_impl.{name}") for name in ("model", "data", "train")
    )
    resolved = twins.tiny()
    train.setup("cpu", 1)
    net = model.build(resolved)
    model.load_weights(net, weights.initial(architecture.build(resolved.model), 0))
    optimizer = train.make_optimizer(net)
    batch = twins.noisy_batch(resolved, 8)
    loss = train.make_step(net, optimizer)(data.Batch(*batch), 1e-3)
    heatmaps = {"heatmaps": train.make_infer(net)(batch[0])}
    weights.save(out, model.read_weights(net) | train.read_optimizer(net, optimizer) | heatmaps)
    return {"loss": loss}


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, weights.Weights]]:
    twins.need("tensorflow", "torch")
    folder = tmp_path_factory.mktemp("parity")
    env = launch.thread_environment(1) | {"PYTHONPATH": str(Path(__file__).parent)}
    done = {}
    for twin in TWINS:
        out = folder / f"{twin}.safetensors"
        outcome = launch.call("test_parity:step", {"twin": twin, "out": str(out)}, folder / twin, env=env)
        done[twin] = (launch.value_of(outcome)["loss"], weights.read(out))
    return done


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b) / (np.linalg.norm(b) + 1e-30))


def test_the_first_loss_is_the_same(stepped: dict[str, tuple[float, weights.Weights]]) -> None:
    (ours, _), (theirs, _) = stepped["tf"], stepped["torch"]
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("kind", ["m/", "v/"])
def test_the_first_gradients_are_the_same(
    stepped: dict[str, tuple[float, weights.Weights]], kind: str
) -> None:
    ours, theirs = stepped["tf"][1], stepped["torch"][1]
    names = [name for name in theirs if name.startswith(kind)]
    scale = max(float(np.linalg.norm(theirs[name])) for name in names)
    worst = max(float(np.linalg.norm(ours[name] - theirs[name])) / scale for name in names)
    assert len(names) == 62 + 3 * 3 + 2 - 2
    assert worst < 1e-4


def test_running_statistics_are_the_same(stepped: dict[str, tuple[float, weights.Weights]]) -> None:
    ours, theirs = stepped["tf"][1], stepped["torch"][1]
    names = [name for name in theirs if "running" in name]
    assert max(_distance(ours[name], theirs[name]) for name in names) < 1e-5


def evaluated(payload: dict[str, str], emit: object) -> dict[str, float]:
    """Return how far a twin's mixed-precision inference is from its own float32 (runs in the child)."""
    import importlib

    from pose import architecture

    model, train = (importlib.import_module(f"{payload['twin']}_impl.{name}") for name in ("model", "train"))
    resolved = twins.tiny()
    start = weights.initial(architecture.build(resolved.model), 0)
    maps = []
    for precision in ("float32", "mixed_bfloat16"):
        net = model.build(resolved, "cpu", precision)
        model.load_weights(net, start)
        maps.append(train.make_infer(net)(twins.noisy_batch(resolved, 4)[0]))
    return {"distance": _distance(maps[1], maps[0])}


@pytest.mark.parametrize("twin", TWINS)
def test_mixed_precision_validates_in_bfloat16_in_both_twins(twin: str, tmp_path: Path) -> None:
    twins.need(twins.FRAMEWORKS[twin])
    env = launch.thread_environment(1) | {"PYTHONPATH": str(Path(__file__).parent)}
    outcome = launch.call("test_parity:evaluated", {"twin": twin}, tmp_path, env=env)
    assert 1e-4 < launch.value_of(outcome)["distance"] < 0.1
