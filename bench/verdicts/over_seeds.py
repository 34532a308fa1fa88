"""Which twin is more accurate over several seeds: what their trainings ended at, and the interval of it.

A seed decides the initial weights of both twins, and the order and the augmentation of what both are fed. So
the two trainings of a seed are a pair, and a paired t test over seeds decides (docs/method/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.cells.cell import TWINS
from bench.run import trainings
from bench.statistics import paired, samples
from pose import recipe

MOST = 100
"""Seeds beyond which nobody is told how many would decide."""


@dataclass(frozen=True)
class OverSeeds:
    """The AP of one twin less that of the other, over n >= 2 seeds."""

    difference: float
    """Mean over seeds."""
    interval: tuple[float, float]
    """95 %, Student's t over the seeds' differences."""
    p: float
    """Of no difference, two-sided."""
    needed: int | None
    """About how many seeds would decide, were they to scatter alike; None where these do, or for more than
    MOST."""


def ended_at(run: Path) -> dict[int, dict[str, float]]:
    """Return by seed the best AP on the validation part of each twin; {} for a run of one seed.

    By ground-truth boxes, as a training scores itself. Only seeds that both twins have ended.
    """
    further = trainings.begun(run)
    if not further or not (run / "recipe.yaml").is_file():
        return {}
    first = recipe.load(str(run / "recipe.yaml")).training.seed
    found = {}
    for seed, path in {first: run, **further}.items():
        ended = {twin: left.best_ap for twin in TWINS if (left := trainings.summary(path, twin))}
        known = {twin: ap for twin, ap in ended.items() if ap is not None}
        if len(known) == len(TWINS):
            found[seed] = known
    return found


def judge(a: Sequence[float], b: Sequence[float], margin: float) -> OverSeeds:
    """Return how far paired APs (n,) of two twins are apart, n >= 2; equal is what lies within the margin.

    Student 1908, on differences. Raises ValueError for fewer than two seeds.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    interval = samples.t_interval(differences.tolist())
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    deviation = deviation if deviation > paired.ROUNDING else 0.0
    p = 2 * float(paired.tail(abs(mean), deviation / math.sqrt(len(differences)), len(differences) - 1))
    counts = np.arange(len(differences), MOST + 1)
    half = paired.quantile(counts - 1) * deviation / np.sqrt(counts)
    decide = counts[(half < abs(mean)) | (half <= margin - abs(mean))]
    needed = int(decide[0]) if decide.size and decide[0] > len(differences) else None
    return OverSeeds(mean, interval, p, needed)
