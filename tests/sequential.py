"""Benches of `quick` that never ran, thousands at once: passes of an arm until its pairs are settled, and on.

What is vectorised here is what `bench.statistics.stopping` and `bench.statistics.paired` do for one bench; a
test holds the two together. Log ratios are (benches, pairs, rounds), and what is known after each round too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as scipy_stats

from bench.cells.protocol import MOST_ROUNDS, PROFILES
from bench.run.results import ENOUGH
from bench.statistics.paired import ALPHA, MARGIN
from bench.statistics.stopping import LOOKING, POWER, StoppingRule

FIRST, LAST, HALF_WIDTH = (PROFILES["quick"][name] for name in ("rounds", "rounds_max", "half_width"))
RULE = StoppingRule(FIRST, LAST, HALF_WIDTH, family=1)
"""Of a matrix of one pair."""


def pairs(arms: np.ndarray) -> np.ndarray:
    """Return log ratios (benches, pairs, rounds) of each two arms of times (benches, rounds, arms)."""
    logs, count = np.log(arms), arms.shape[2]
    both = arms_of(count * (count - 1) // 2)
    return np.stack([logs[..., a] - logs[..., b] for a, b in both], axis=1)


@dataclass(frozen=True)
class Looks:
    """What pairs look like, after each round (benches, pairs, rounds) or at one of them (benches, pairs)."""

    mean: np.ndarray
    error: np.ndarray
    freedom: int

    @staticmethod
    def of(logs: np.ndarray, first_look: int = FIRST, quiet: np.ndarray | None = None) -> Looks:
        """Return the looks after each round, paid for since the first look.

        quiet: which passes of a pair nobody disturbed, of logs' shape: they alone count where enough.
        """
        every = np.ones_like(logs)
        mean, error = _moments(logs, every)
        if quiet is not None:
            enough = np.cumsum(quiet, axis=2) >= ENOUGH
            mean_of_quiet, error_of_quiet = _moments(logs, quiet)
            mean, error = np.where(enough, mean_of_quiet, mean), np.where(enough, error_of_quiet, error)
        return Looks(mean, error, first_look - 1)

    def at(self, n: np.ndarray) -> Looks:
        """Return the looks after n (benches, pairs) rounds."""
        here = (*np.indices(n.shape), n - 1)
        return replace(self, mean=self.mean[here], error=self.error[here])

    @property
    def p(self) -> np.ndarray:
        """Return p of a ratio of 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * scipy_stats.t.sf(np.abs(self.mean) / self.error, self.freedom)

    @property
    def p_equivalence(self) -> np.ndarray:
        """Return p of a ratio outside the margin of equivalence."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return scipy_stats.t.sf((np.log1p(MARGIN) - np.abs(self.mean)) / self.error, self.freedom)

    @property
    def reach(self) -> np.ndarray:
        """Return how far the 95 % interval of the log reaches to each side."""
        return scipy_stats.t.ppf(1 - ALPHA / 2, self.freedom) * self.error

    def covers(self, truth: np.ndarray | float = 0.0) -> np.ndarray:
        """Whether the interval holds the true log ratio."""
        return np.abs(self.mean - truth) <= self.reach

    @property
    def equivalent(self) -> np.ndarray:
        """Whether the verdict is `equivalent`."""
        return self.p_equivalence <= ALPHA

    @property
    def different(self) -> np.ndarray:
        """Whether the verdict (benches, pairs) is `faster` or `slower`, by Holm over the pairs."""
        order = np.argsort(self.p, axis=1)
        steps = np.take_along_axis(self.p, order, axis=1) * np.arange(self.p.shape[1], 0, -1)
        holm = np.empty_like(steps)
        np.put_along_axis(holm, order, np.maximum.accumulate(steps, axis=1), axis=1)
        return (holm <= ALPHA) & ~self.equivalent

    def wrong(self, truth: np.ndarray | float = 0.0) -> np.ndarray:
        """Whether a verdict (benches, pairs) tells arms apart that are equal, or turns a difference round."""
        return self.different & ((truth == 0) | (np.sign(self.mean) != np.sign(truth)))


def _moments(logs: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error of the rounds so far that are kept (1 or 0), after each round."""
    n = np.cumsum(kept, axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.cumsum(logs * kept, axis=2) / n
        squares = np.cumsum(logs**2 * kept, axis=2) - n * mean**2
        return mean, np.sqrt(np.maximum(squares, 0) / (n - 1) / n)


def stop(looks: Looks, family: int, rule: StoppingRule = RULE, looking: float = LOOKING) -> np.ndarray:
    """Return after how many passes (benches, arms) each arm ends; `looking` 1: by a rule that pays for none.

    An arm ends with the last of its pairs, and a pair has the passes that both its arms have.
    """
    decided = np.minimum(looks.p * family, looks.p_equivalence) <= ALPHA / looking
    settled = decided | (np.expm1(looks.reach) <= HALF_WIDTH)
    both = arms_of(settled.shape[1])
    arms = both.max() + 1
    ends = np.full((len(settled), arms), rule.first_look)
    for now in range(rule.first_look, rule.last_look):
        together = (ends[:, both] == now).all(axis=2)
        is_open = together & ~settled[..., now - 1]
        for arm in range(arms):
            ends[is_open[:, (both == arm).any(axis=1)].any(axis=1), arm] = now + 1
    return ends


def arms_of(pairs: int) -> np.ndarray:
    """Return the two arms of each of so many pairs (pairs, 2), in the order of `pairs`."""
    count = round((1 + np.sqrt(1 + 8 * pairs)) / 2)
    return np.array([(a, b) for b in range(count) for a in range(b + 1, count)])


def shared(ends: np.ndarray) -> np.ndarray:
    """Return the passes (benches, pairs) that both arms of a pair have, of those (benches, arms) of arms."""
    return np.asarray(ends[:, arms_of(ends.shape[1] * (ends.shape[1] - 1) // 2)].min(axis=2))


def measured_on(looks: Looks, n: np.ndarray) -> np.ndarray:
    """Return after how many passes (benches, 1) a pair ends on which `--more` is asked until it does nothing.

    n: those (benches, 1) after which `quick` ended; looks: (benches, 1, MOST_ROUNDS).
    """
    now = n[:, 0]
    sure = np.minimum(looks.p, looks.p_equivalence)[:, 0] <= ALPHA / LOOKING
    far, near = (scipy_stats.t.isf(tail, looks.freedom) + POWER for tail in (ALPHA / 2, ALPHA))
    for _ in range(MOST_ROUNDS):
        here = looks.at(now[:, None])
        mean, deviation = np.abs(here.mean[:, 0]), here.error[:, 0] * np.sqrt(now)
        gap = np.log1p(MARGIN) - mean
        equal = np.where(gap > 0, near * deviation / np.where(gap > 0, gap, 1), np.inf)
        needed = np.ceil(np.minimum((far * deviation / mean) ** 2, equal**2))
        is_open = ~(here.different | here.equivalent)[:, 0] & (needed <= MOST_ROUNDS)
        upto = np.where(is_open, np.maximum(needed, now + 1), now).astype(int).clip(max=MOST_ROUNDS)
        if (upto == now).all():
            break
        later = np.arange(1, MOST_ROUNDS + 1)
        ends = (later >= upto[:, None]) | (sure & (later > now[:, None]))
        now = np.where(upto > now, np.argmax(ends & (later > now[:, None]), axis=1) + 1, now)
    return now[:, None]
