"""Mixed precision means the same in both twins: bfloat16 in training and in validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import twins

from bench.process import environment, launch
from pose import weights


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b) / (np.linalg.norm(b) + 1e-30))


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


@pytest.mark.parametrize("twin", twins.EITHER)
def test_mixed_precision_validates_in_bfloat16_in_both_twins(twin: str, tmp_path: Path) -> None:
    env = environment.thread_environment(1) | {"PYTHONPATH": str(Path(__file__).parent)}
    outcome = launch.call("test_mixed_precision:evaluated", {"twin": twin}, tmp_path, env=env)
    assert 1e-4 < launch.value_of(outcome)["distance"] < 0.1
