"""Rung 2: canonical weights go into each twin and come back bit for bit, none left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.cells.cell import TWINS
from bench.parity.certificate import Check
from bench.parity.rungs.base import Context, none_of
from bench.parity.rungs.probing import Arrays, outputs, part
from pose import architecture, weights

EXACT = "loading and reading copy: nothing may be rounded"
COMPLETE = "a parameter that keeps the framework's own start is a parameter that was not loaded"


def climb(context: Context) -> list[Check]:
    """Return the checks of both twins."""
    canonical = weights.load(context.weights, architecture.build(context.recipe.model))
    found = outputs(context)
    checks = []
    for twin in TWINS:
        for precision, arrays in found[twin].items():
            checks.append(_round_trip(f"{twin}, {precision}", canonical, part(arrays, "back")))
        checks.append(_replaced(twin, canonical, found[twin]["float32"]))
    return checks


def _round_trip(name: str, canonical: Mapping[str, np.ndarray], back: Arrays) -> Check:
    # In the network's order: the first to be named is where to look.
    wrong = [n for n, value in canonical.items() if n not in back or not np.array_equal(back[n], value)]
    wrong += sorted(set(back) - set(canonical))
    said = f"canonical -> {name} -> canonical: tensors that differ"
    return none_of(said, wrong, EXACT, f"{len(canonical)} tensors")


def _replaced(twin: str, canonical: Mapping[str, np.ndarray], arrays: Arrays) -> Check:
    own, back = part(arrays, "own"), part(arrays, "back")
    kept = [
        name
        for name, value in canonical.items()
        if name in own
        and name in back
        and not np.array_equal(own[name], value)
        and np.array_equal(own[name], back[name])
    ]
    return none_of(f"{twin}: tensors left at the framework's own start", kept, COMPLETE)
