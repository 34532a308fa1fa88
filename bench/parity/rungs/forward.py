"""Rung 3: the same heatmaps from the same weights, in evaluation and in training mode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.cells.cell import TWINS
from bench.parity.certificate import Check
from bench.parity.rungs.base import Context, distance, distances, reshaped, within
from bench.parity.rungs.probing import Arrays, outputs, part
from bench.statistics.rounding import FACTOR, SLACK, rmse
from pose import architecture, recipe

EXACT = 1e-12
WHY_EXACT = "float64 rounds at 1.1e-16; a wrong constant shows at 1e-8 or more; between them lies the bound"
WHY_ROUNDING = (
    "2 x the other twin's error + 1e-7 x rms(reference): no worse than the frameworks' own rounding"
)


def climb(context: Context) -> list[Check]:
    """Return the checks of running statistics and heatmaps, float64 first.

    The statistics lead: theirs is the check that names the layer where the twins part ways.
    """
    found = outputs(context)
    checks = [_statistics(context, {twin: part(found[twin]["float64"], "stats") for twin in TWINS})]
    for mode, name in (("eval", "evaluation"), ("train", "training")):
        pair = {twin: found[twin]["float64"][mode] for twin in TWINS}
        checks.append(
            within(f"fp64 heatmaps, {name} mode", by_sample(pair["tf"], pair["torch"]), EXACT, WHY_EXACT)
        )
    for mode, name in (("eval", "evaluation"), ("train", "training")):
        reference = found["torch"]["float64"][mode]
        pair = {twin: found[twin]["float32"][mode] for twin in TWINS}
        checks += no_worse(f"fp32 heatmaps, {name} mode", pair, reference)
    return checks


def _statistics(context: Context, stats: Mapping[str, Arrays]) -> Check:
    """Return the check of the running statistics after one step; it names the first layer that is off."""
    errors = distances(stats["tf"], stats["torch"])
    check = within("fp64 running statistics after one step", errors, EXACT, WHY_EXACT)
    if check.passed:
        return check
    first = first_off(context.recipe.model, errors)
    return replace(check, where=first, note=f"the first that is off; the error is largest in {check.where}")


def first_off(model: recipe.Model, errors: Mapping[str, float]) -> str:
    """Return the first tensor in the network's order whose error is not within the bound.

    An error early in the network is in all that follows, and is often largest at the end.
    """
    place = {name: number for number, name in enumerate(architecture.build(model).shapes())}
    off = [name for name, error in errors.items() if not error <= EXACT]
    # A tensor that cannot be compared says why after its name; one that is no part of a network comes last.
    return min(off, key=lambda name: place.get(name.partition(" ")[0], len(place)))


def by_sample(values: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Return the relative distance of each probe's heatmaps (N, K, h, w).

    Where the shapes differ there is none: one infinite distance says both, by the name of all probes.
    """
    if odd := reshaped(values, reference):
        return {f"all probes: {odd}": math.inf}
    return {f"probe {i}": distance(a, b) for i, (a, b) in enumerate(zip(values, reference, strict=True))}


def no_worse(name: str, pair: Mapping[str, np.ndarray], reference: np.ndarray) -> list[Check]:
    """Return for each twin the check that its rmse is within the rule's bound of the other's."""
    errors = {twin: rmse(values, reference) for twin, values in pair.items()}
    size = float(np.sqrt(np.mean(np.square(reference))))
    checks = []
    for twin, other in zip(TWINS, reversed(TWINS), strict=True):
        bound = FACTOR * errors[other] + SLACK * size
        # Both twins may be infinitely far off.
        passed = math.isfinite(errors[twin]) and errors[twin] <= bound
        where = reshaped(pair[twin], reference)
        checks.append(
            Check(f"{name}, {twin}: rmse to fp64", errors[twin], bound, passed, WHY_ROUNDING, where)
        )
    return checks
