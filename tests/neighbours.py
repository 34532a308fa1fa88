"""A neighbour that takes one of two cores half of the time, in spells, and what windows meet of it.

Spells of work and of rest are exponential of one mean. While it works, arms need twice their time. A window
is disturbed when it worked for more than a tenth of it: 5 % of two processors' time, the harness's limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.machine.conditions import OTHER_SHARE
from bench.scenarios.tries import QUIET_MOST_S

STEP_S = 0.1
DISTURBED = 2 * OTHER_SHARE
"""The share of a window in which one of two cores is taken, where the harness calls it disturbed."""


@dataclass(frozen=True)
class Met:
    """What the windows that count met, (benches, rounds, arms)."""

    share: np.ndarray
    """Of each window, that the neighbour worked."""
    tries: np.ndarray


def met(
    windows_s: tuple[float, ...], spell_s: float, tries: int, benches: int, rounds: int, seed: int = 0
) -> Met:
    """Return what the rounds of arms with such windows meet; of several tries each waits for quiet."""
    rng = np.random.default_rng(seed)
    turns = 1 - np.exp(-STEP_S / spell_s)
    shares, counts = [], []
    for window_s in windows_s:
        works = rng.random((benches, rounds)) < 0.5
        best, count = np.full(works.shape, np.inf), np.zeros(works.shape)
        for _ in range(tries):
            due = best > DISTURBED
            waits = due & (tries > 1)
            for _ in range(round(QUIET_MOST_S / STEP_S)):
                waits &= works
                works ^= waits & (rng.random(works.shape) < turns)
            share = np.zeros(works.shape)
            steps = round(window_s / STEP_S)
            for _ in range(steps):
                share += works / steps
                works ^= rng.random(works.shape) < turns
            count += due
            best = np.where(due, np.minimum(best, share), best)
        shares.append(best)
        counts.append(count)
    return Met(np.stack(shares, axis=2), np.stack(counts, axis=2))
