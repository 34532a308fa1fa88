"""Rung 4: the same loss, and the same gradient of every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bench.cells.cell import TWINS
from bench.parity.certificate import Check
from bench.parity.rungs.base import Context, distance, mismatches, reshaped, within
from bench.parity.rungs.probing import PRECISIONS, PUBLISHED, Arrays, batch, differentiated, outputs, part
from bench.statistics.rounding import FACTOR, SLACK, rmse
from pose import published

EXACT_LOSS = 1e-12
EXACT = 1e-11
WHY_LOSS = "one number in float64, after a forward pass that agrees to 1e-12"
WHY_EXACT = (
    "a gradient sums the forward pass's rounding backwards: 7e-13 at worst was seen of twins that agree"
)

WIDER = 2 * FACTOR
WHY_TYPICAL = (
    "4 x the other twin's error + 1e-7 x rms(reference): no worse than the frameworks' own rounding, whose "
    "largest among a hundred parameters spreads wider than that of the heatmaps (2.3 x was seen where a "
    "processor's kernels sum in another order; TF32 rounds hundreds of times as coarsely); a parameter on "
    "which the other twin rounds less than it typically does, as where one framework sums a bias's gradient "
    "in pairs and the other in a row, sets no bar below that typical error"
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
    if odd := reshaped(heatmaps, wanted[0]):
        errors = {f"heatmaps: {odd}": math.inf}
    else:
        right = published.joints_mse_loss(heatmaps, *wanted)
        errors = {twin: abs(float(value[0]) / right - 1) for twin, value in losses.items()}
    return within("fp64 loss to the published formula", errors, EXACT_LOSS, WHY_PUBLISHED)


class Errors:
    """What gradients are off by, gathered one batch after another: together they would be gigabytes."""

    def __init__(self) -> None:
        self.losses: dict[str, list[float]] = {twin: [] for twin in TWINS}
        self.rounded: dict[str, dict[str, list[float]]] = {twin: {} for twin in TWINS}
        self.squares: dict[str, list[np.ndarray]] = {}
        self.odd: dict[str, dict[str, float]] = {precision: {} for precision in PRECISIONS}
        """By precision, the gradients that one twin lacks or has in another shape: infinitely far off."""

    def add(self, found: Mapping[str, Mapping[str, Arrays]]) -> None:
        """Add a batch: by twin and precision, loss and grad/NAME."""
        exact, rounded = ({t: part(found[t][p], "grad") for t in TWINS} for p in PRECISIONS)
        skipped = set()
        for precision, pair in zip(PRECISIONS, (exact, rounded), strict=True):
            odd = mismatches(pair["tf"], pair["torch"])
            self.odd[precision] |= dict.fromkeys(odd.values(), math.inf)
            skipped |= set(odd)
        names = [name for name in exact["torch"] if name not in skipped]
        for name in names:
            reference = exact["torch"][name]
            sums = [np.sum(np.square(a)) for a in (exact["tf"][name] - reference, reference)]
            self.squares.setdefault(name, []).append(np.array([*sums, reference.size]))
        for twin in TWINS:
            self.losses[twin].append(float(found[twin]["float64"]["loss"][0]))
            for name in names:
                off = rmse(rounded[twin][name], exact["torch"][name])
                self.rounded[twin].setdefault(name, []).append(off)

    def exact(self) -> dict[str, float]:
        """Return by parameter the relative distance in float64 of the twins' gradients of all batches."""
        sums = {name: np.sum(rows, axis=0) for name, rows in self.squares.items()}
        found = {name: float(np.sqrt(a / size if size > 0 else a)) for name, (a, size, _) in sums.items()}
        return found | self.odd["float64"]

    def sizes(self) -> dict[str, float]:
        """Return by parameter the root mean square of the gradients of all batches."""
        sums = {name: np.sum(rows, axis=0) for name, rows in self.squares.items()}
        return {name: float(np.sqrt(size / count)) for name, (_, size, count) in sums.items()}

    def typical(self, twin: str) -> dict[str, float]:
        """Return by parameter the median over batches of the root mean square of a twin's float32 error."""
        return {name: float(np.median(values)) for name, values in self.rounded[twin].items()}


def climb(context: Context) -> list[Check]:
    """Return the checks of loss and gradients, float64 first; each names the worst parameter."""
    found = Errors()
    for measured in differentiated(context):
        found.add(measured)
    losses = {twin: np.array(values) for twin, values in found.losses.items()}
    checks = [within("fp64 loss", {"loss": distance(losses["tf"], losses["torch"])}, EXACT_LOSS, WHY_LOSS)]
    twin, precision = PUBLISHED
    checks.append(_published(context, outputs(context)[twin][precision]["pair"], losses))
    errors = found.exact()
    checks.append(within("fp64 gradients", errors, EXACT, WHY_EXACT, note=f"{len(errors)} parameters"))
    for twin, other in zip(TWINS, reversed(TWINS), strict=True):
        name = f"fp32 gradients, {twin}: rmse to fp64 over its bound"
        found_shares = shares(found.typical(twin), found.typical(other), found.sizes())
        found_shares |= found.odd["float32"]
        checks.append(within(name, found_shares, 1.0, WHY_TYPICAL, note=KINKS))
    return checks


def shares(
    ours: Mapping[str, float], theirs: Mapping[str, float], sizes: Mapping[str, float]
) -> dict[str, float]:
    """Return by parameter one twin's rmse over what the other's allows; sizes: rms of the reference."""
    typical = float(np.median([theirs[name] / size for name, size in sizes.items() if size > 0] or [0]))
    found = {}
    for name, size in sizes.items():
        bound = WIDER * max(theirs[name], typical * size) + SLACK * size
        # A gradient that is zero in both needs no bound.
        found[name] = ours[name] / bound if bound > 0 else (math.inf if ours[name] != 0 else 0.0)
    return found
