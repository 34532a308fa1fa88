"""Rung 6 over whole epochs of the demo: the twins' AP parts no further than each framework's from itself.

An AP is one number, and its distance between two trainings mostly luck. What AP is made of is not:
at each of ten OKS thresholds, which people were found. So the ratio is judged on those decisions, and
AP itself by the interval of its difference over seeds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import twins

from bench.cells.cell import TWINS
from bench.data.built_in import make_data
from bench.parity.rungs import trajectory
from bench.run import folder as folder_
from bench.stages import preparing, training
from bench.statistics.samples import t_interval
from pose import bootstrap, evaluate, recipe, splits

SEEDS, EPOCHS = trajectory.SEEDS, 2
THREADS = (2, 1)
"""Of a framework, and of the same framework run otherwise. Rung 6 changes the memory layout too, which is
more: a framework is nearer to itself here, and the twins are held to that."""
MOST_DAP = 0.05
"""What the demo's table allows its reader too."""


@dataclass(frozen=True, eq=False)
class Curve:
    """What one training came to, epoch by epoch."""

    ap: np.ndarray
    """(E,)"""
    found: np.ndarray
    """(E, T, I): how many people of an image were found at an OKS threshold."""


def trained(folder: Path, coco: Path, seed: int, threads: int, twin: str) -> Curve:
    """Return the curve of the demo recipe's first epochs."""
    overrides = [f"training.seed={seed}", f"training.epochs={EPOCHS}", "training.schedule.epochs=[]"]
    settings = folder_.Settings(coco, None, "cpu", threads, 1)
    run = preparing.prepare(folder / f"{twin}-{seed}-{threads}", recipe.load("demo", overrides), settings)
    training.train(run, twin)
    truth = splits.ground_truth(splits.read(run.split_file), coco, "val")
    stored = sorted((run.train_folder(twin) / "predictions").glob("epoch_*.json"))
    ap = [line["ap"] for line in twins.end_state(run.train_folder(twin))[1]]
    return Curve(np.array(ap), np.stack([found(path, truth) for path in stored]))


def found(predictions: Path, truth: dict) -> np.ndarray:
    """Return how many people of each image (T, I) were found at each threshold."""
    matches = bootstrap.match(evaluate.read_predictions(predictions, truth), truth)
    per_image = np.eye(len(matches.people))[matches.image]  # (D, I)
    return matches.right @ per_image


def apart(ours: Curve, theirs: Curve) -> float:
    """Return the root mean square, over epochs, thresholds and images, of people found in one alone."""
    return float(np.sqrt(np.mean(np.square(ours.found - theirs.found))))


def four_ways(folder: Path, coco: Path, seed: int) -> dict[tuple[str, int], Curve]:
    """Return the curves of one seed by twin and threads, the twins trained side by side."""
    curves = {}
    with ThreadPoolExecutor(len(TWINS)) as pool:
        for threads in THREADS:
            both = pool.map(partial(trained, folder, coco, seed, threads), TWINS)
            curves |= {(twin, threads): curve for twin, curve in zip(TWINS, both, strict=True)}
    return curves


@pytest.mark.hours
@pytest.mark.frameworks("tensorflow", "torch")
@pytest.mark.timeout(4 * 3600)
def test_ap_of_the_demo_drifts_no_further_than_a_framework_from_itself(tmp_path: Path) -> None:
    coco = tmp_path / "coco"
    make_data(recipe.load("demo"), coco)
    distances, differences = [], []
    for seed in range(SEEDS):
        curves = four_ways(tmp_path, coco, seed)
        base = {twin: curves[twin, THREADS[0]] for twin in TWINS}
        own = {twin: apart(curves[twin, THREADS[1]], base[twin]) for twin in TWINS}
        distances.append({"twins": apart(base["tf"], base["torch"])} | own)
        differences.append(float(base["tf"].ap[-1] - base["torch"].ap[-1]))
        told = ", ".join(f"{name} {value:.4f}" for name, value in distances[-1].items())
        aps = ", ".join(f"{twin} {base[twin].ap[-1]:.3f}" for twin in TWINS)
        print(f"\nseed {seed}: people found in one alone, rms: {told}; AP {aps}", flush=True)
    check = trajectory.judge("people found", distances)
    low, high = t_interval(differences)
    print(f"\n{check.name}: {check.measured}\n{check.note}\nAP, tf - torch: [{low:+.4f}, {high:+.4f}]")
    assert check.passed, check
    assert -MOST_DAP < low <= high < MOST_DAP
