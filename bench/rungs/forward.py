"""Rung 3: the same heatmaps from the same weights, in evaluation and in training mode."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.contract import TWINS
from bench.rungs.base import Check, Context, distance, rmse, within
from bench.rungs.probing import outputs, part

EXACT = 1e-12
WHY_EXACT = "float64 rounds at 1.1e-16; a wrong constant shows at 1e-8 or more; between them lies the bound"
FACTOR, SLACK = 2.0, 1e-7
WHY_ROUNDING = (
    "2 x the other twin's error + 1e-7 x rms(reference): no worse than the frameworks' own rounding"
)


def climb(context: Context) -> list[Check]:
    """Return the checks of heatmaps and running statistics, float64 first."""
    found = outputs(context)
    checks = []
    for mode, name in (("eval", "evaluation"), ("train", "training")):
        pair = {twin: found[twin]["float64"][mode] for twin in TWINS}
        checks.append(
            within(f"fp64 heatmaps, {name} mode", by_sample(pair["tf"], pair["torch"]), EXACT, WHY_EXACT)
        )
    stats = {twin: part(found[twin]["float64"], "stats") for twin in TWINS}
    errors = {name: distance(stats["tf"][name], value) for name, value in stats["torch"].items()}
    checks.append(within("fp64 running statistics after one step", errors, EXACT, WHY_EXACT))
    for mode, name in (("eval", "evaluation"), ("train", "training")):
        reference = found["torch"]["float64"][mode]
        pair = {twin: found[twin]["float32"][mode] for twin in TWINS}
        checks += no_worse(f"fp32 heatmaps, {name} mode", pair, reference)
    return checks


def by_sample(values: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Return the relative distance of each probe's heatmaps (N, K, h, w)."""
    return {f"probe {i}": distance(a, b) for i, (a, b) in enumerate(zip(values, reference, strict=True))}


def no_worse(name: str, pair: Mapping[str, np.ndarray], reference: np.ndarray) -> list[Check]:
    """Return for each twin the check that its rmse is within the rule's bound of the other's."""
    errors = {twin: rmse(values, reference) for twin, values in pair.items()}
    size = float(np.sqrt(np.mean(np.square(reference))))
    checks = []
    for twin, other in zip(TWINS, reversed(TWINS), strict=True):
        bound = FACTOR * errors[other] + SLACK * size
        checks.append(
            Check(f"{name}, {twin}: rmse to fp64", errors[twin], bound, errors[twin] <= bound, WHY_ROUNDING)
        )
    return checks
