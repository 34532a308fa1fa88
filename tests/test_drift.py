"""Rung 6 over whole epochs: the twins' AP and loss part no further than each from itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import twins

from bench import rundir, stages
from bench.contract import TWINS
from bench.rungs import trajectory
from pose import recipe

SEEDS, EPOCHS = 8, 3


def trained(folder: Path, coco: Path, twin: str, seed: int, threads: int) -> dict[str, np.ndarray]:
    """Return AP and validation loss (EPOCHS,) of the demo recipe's first epochs."""
    overrides = [f"training.seed={seed}", f"training.epochs={EPOCHS}", "training.schedule.epochs=[]"]
    settings = rundir.Settings(coco, None, "cpu", threads, 2)
    run = rundir.prepare(folder / f"{seed}-{threads}", recipe.load("demo", overrides), settings)
    stages.train(run, twin)
    lines = twins.end_state(run.train_folder(twin))[1]
    return {name: np.array([line[name] for line in lines]) for name in ("ap", "val_loss")}


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_ap_and_loss_of_the_demo_drift_no_further_than_a_framework_from_itself(tmp_path: Path) -> None:
    twins.need("tensorflow", "torch")
    coco = tmp_path / "coco"
    stages.make_data(recipe.load("demo"), coco)
    found: dict[str, list[dict[str, float]]] = {"ap": [], "val_loss": []}
    for seed in range(SEEDS):
        curves = {(t, n): trained(tmp_path, coco, t, seed, n) for t in TWINS for n in (2, 1)}
        for kind, rows in found.items():
            base = {twin: curves[twin, 2][kind] for twin in TWINS}
            row = {"twins": apart(base["tf"], base["torch"])}
            rows.append(row | {t: apart(curves[t, 1][kind], base[t]) for t in TWINS})
    checks = [trajectory.judge(kind, rows) for kind, rows in found.items()]
    assert all(check.passed for check in checks), checks


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the root mean square over epochs of the difference of two curves."""
    return float(np.sqrt(np.mean(np.square(ours - theirs))))
