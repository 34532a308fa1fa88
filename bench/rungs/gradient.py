"""Rung 4: the same loss, and the same gradient of every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bench.contract import TWINS
from bench.rungs.base import Check, Context, distance, rmse, within
from bench.rungs.forward import FACTOR, SLACK, WHY_ROUNDING
from bench.rungs.probing import PUBLISHED, batch, differentiated, part
from pose import published

EXACT_LOSS = 1e-12
EXACT = 1e-11
WHY_LOSS = "one number in float64, after a forward pass that agrees to 1e-12"
WHY_EXACT = (
    "a gradient sums the forward pass's rounding backwards: 7e-13 at worst was seen of twins that agree"
)

WHY_TYPICAL = (
    f"{WHY_ROUNDING}; a parameter on which the other twin rounds less than it typically does, as where one "
    "framework sums a bias's gradient in pairs and the other in a row, sets no bar below that typical error"
)

KINKS = (
    "median over batches: a ReLU whose input lies within rounding of zero takes the other branch in one "
    "framework, and the gradient of that one batch jumps by 1e-4"
)

WHY_PUBLISHED = "twin against twin cannot see what both leave out; float64 summed one pixel at a time"


def _published(context: Context, heatmaps: np.ndarray, losses: Mapping[str, np.ndarray]) -> Check:
    """Return the check of each twin's first loss against the published formula on the same heatmaps."""
    given = batch(context)
    wanted = [given[name][: len(heatmaps)].astype(np.float64) for name in ("heatmaps", "weights")]
    right = published.joints_mse_loss(heatmaps, *wanted)
    errors = {twin: abs(float(value[0]) / right - 1) for twin, value in losses.items()}
    return within("fp64 loss to the published formula", errors, EXACT_LOSS, WHY_PUBLISHED)


def typical_rmse(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the median over batches, the first axis, of the root mean square of values - reference."""
    return float(np.median([rmse(a, b) for a, b in zip(values, reference, strict=True)]))


def climb(context: Context) -> list[Check]:
    """Return the checks of loss and gradients, float64 first; each names the worst parameter."""
    found = differentiated(context)
    losses = {twin: found[twin]["float64"]["loss"] for twin in TWINS}
    checks = [within("fp64 loss", {"loss": distance(losses["tf"], losses["torch"])}, EXACT_LOSS, WHY_LOSS)]
    checks.append(_published(context, found[PUBLISHED[0]][PUBLISHED[1]]["pair"], losses))
    exact = {twin: part(found[twin]["float64"], "grad") for twin in TWINS}
    errors = {name: distance(exact["tf"][name], value) for name, value in exact["torch"].items()}
    checks.append(within("fp64 gradients", errors, EXACT, WHY_EXACT, note=f"{len(errors)} parameters"))
    rounded = {twin: part(found[twin]["float32"], "grad") for twin in TWINS}
    off = {
        twin: {name: typical_rmse(rounded[twin][name], value) for name, value in exact["torch"].items()}
        for twin in TWINS
    }
    sizes = {name: float(np.sqrt(np.mean(np.square(value)))) for name, value in exact["torch"].items()}
    for twin, other in zip(TWINS, reversed(TWINS), strict=True):
        name = f"fp32 gradients, {twin}: rmse to fp64 over its bound"
        found_shares = shares(off[twin], off[other], sizes)
        checks.append(within(name, found_shares, 1.0, WHY_TYPICAL, note=KINKS))
    return checks


def shares(
    ours: Mapping[str, float], theirs: Mapping[str, float], sizes: Mapping[str, float]
) -> dict[str, float]:
    """Return by parameter one twin's rmse over what the other's allows; sizes: rms of the reference."""
    typical = float(np.median([theirs[name] / size for name, size in sizes.items() if size > 0]))
    found = {}
    for name, size in sizes.items():
        bound = FACTOR * max(theirs[name], typical * size) + SLACK * size
        # A gradient that is zero in both needs no bound.
        found[name] = ours[name] / bound if bound > 0 else (math.inf if ours[name] != 0 else 0.0)
    return found
