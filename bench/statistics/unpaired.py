"""Ratios of two runs that share no passes: Welch's interval on logs, a rank test beside, equivalence.

The unit is the process: a figure is one round's. Nothing pairs a round of one run with one of the other.
All functions take many comparisons at once, since scipy costs as much for one as for thousands.
What the interval cannot know is told in docs/method/compare.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.statistics.paired import ALPHA, MARGIN, ROUNDING, degrees_of_freedom, holm, quantile, tail

EXACT_UP_TO = 8
"""Rounds of the smaller run up to which the rank test counts all orders; scipy's own choice."""

Arms = tuple[Sequence[float], Sequence[float]]
"""The figures of a cell's rounds in A (n,) and in B (k,), all above 0."""


@dataclass(frozen=True)
class Difference:
    """How many times the figures of B are those of A."""

    ratio: float
    """Geometric mean of B over that of A."""
    interval: tuple[float, float] | None = None
    """95 %; None and all below None where a run has a single round."""
    p: float | None = None
    """Of a ratio of 1, two-sided (Welch 1947, on logs)."""
    p_holm: float | None = None
    """The same for all comparisons at once."""
    p_rank: float | None = None
    """Two-sided, of either run being as likely the larger (Mann and Whitney 1947)."""
    p_equivalence: float | None = None
    """Of a ratio outside 1 / 1.02 .. 1.02 (Schuirmann 1987)."""
    verdict: str = "inconclusive"
    """`more`, `less` (B than A), `equivalent` or `inconclusive`."""
    reason: str | None = None
    """Why it is inconclusive although the interval would decide, or cannot."""


Looks = tuple[int | None, int | None]
"""At how many rounds the stopping rule of A and of B looked first; None for a fixed number of rounds."""


def differences(arms: Sequence[Arms], looks: Looks = (None, None)) -> list[Difference]:
    """Return the difference of every comparison, in order; Holm's correction is over those with an interval.

    Raises ValueError for a figure that is not a positive number.
    """
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, (a, b) in enumerate(arms):
        groups[len(a), len(b)].append(place)
    found: list[Difference | None] = [None] * len(arms)
    for places in groups.values():
        of_a, of_b = (_logs([arms[place][side] for place in places]) for side in (0, 1))
        for place, one in zip(places, _group(of_a, of_b, looks), strict=True):
            found[place] = one
    whole = [one for one in found if one is not None]
    adjusted = holm([one.p for one in whole])
    return [_decided(one, p, arm) for one, p, arm in zip(whole, adjusted, arms, strict=True)]


def _logs(rows: list[Sequence[float]]) -> np.ndarray:
    values = np.array(rows, np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("a figure is not a positive number")
    return np.log(values)


def _group(a: np.ndarray, b: np.ndarray, looks: Looks) -> list[Difference]:
    """Return the undecided differences of logs a (m, n) and b (m, k)."""
    centre = b.mean(axis=1) - a.mean(axis=1)
    if min(a.shape[1], b.shape[1]) < 2:
        return [Difference(math.exp(log)) for log in centre]
    error, freedom = welch(a, b, looks)
    half = quantile(freedom) * error
    low, high = np.exp(centre - half), np.exp(centre + half)
    p = 2 * tail(np.abs(centre), error, freedom)
    p_same = tail(math.log1p(MARGIN) - np.abs(centre), error, freedom)
    columns = (np.exp(centre), low, high, np.minimum(p, 1), rank_test(a, b), p_same)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Difference(ratio, (lo, hi), p, None, rank, same) for ratio, lo, hi, p, rank, same in rows]


def welch(a: np.ndarray, b: np.ndarray, looks: Looks = (None, None)) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard error (m,) of the difference of means and its degrees of freedom (m,).

    a: (m, n), b: (m, k), n and k >= 2. The error is 0 where nothing scatters beyond rounding.
    Welch 1947, Satterthwaite 1946. A rule that stops on little scatter reports too little of it: such a
    run counts with the degrees of freedom of its first look, as in docs/method/statistics.md.
    """
    n, k = a.shape[1], b.shape[1]
    free_a, free_b = map(degrees_of_freedom, (n, k), looks)
    of_a, of_b = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / k
    error = np.sqrt(of_a + of_b)
    some = error > ROUNDING
    below = of_a**2 / free_a + of_b**2 / free_b
    freedom = np.divide((of_a + of_b) ** 2, below, where=some, out=np.full(len(a), float(free_a + free_b)))
    return np.where(some, error, 0.0), freedom


def rank_test(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the two-sided p (m,) of the Mann-Whitney U test of a (m, n) and b (m, k).

    Exact where no two figures are equal and the smaller run has at most 8 rounds, else by the
    normal approximation with corrections for ties and continuity.
    """
    from scipy.stats import mannwhitneyu  # a slow import that few verbs need

    both = np.sort(np.concatenate([a, b], axis=1), axis=1)
    tied = (np.diff(both, axis=1) == 0).any(axis=1)
    exact = ~tied & (min(a.shape[1], b.shape[1]) <= EXACT_UP_TO)
    constant = both[:, 0] == both[:, -1]
    p = np.ones(len(a))
    for chosen, method in ((exact, "exact"), (~exact & ~constant, "asymptotic")):
        if chosen.any():
            p[chosen] = mannwhitneyu(b[chosen], a[chosen], axis=1, method=method).pvalue
    return p


def least_rank_p(n: int, k: int) -> float:
    """Return the smallest p that the exact rank test of n against k figures can give."""
    return 2 / math.comb(n + k, n)


def _decided(one: Difference, p_holm: float | None, arms: Arms) -> Difference:
    n, k = map(len, arms)
    values = (one.ratio, one.interval, one.p, p_holm, one.p_rank, one.p_equivalence)
    if one.p_equivalence is None or one.p_rank is None or p_holm is None:
        return Difference(*values, reason=f"{n} and {k} rounds; an interval needs 2 in each run")
    if one.p_equivalence <= ALPHA:
        return Difference(*values, verdict="equivalent")
    if p_holm > ALPHA:
        return Difference(*values)
    if least_rank_p(n, k) <= ALPHA < one.p_rank:
        return Difference(*values, reason=f"the rank test disagrees (p {one.p_rank:.2g})")
    return Difference(*values, verdict="more" if one.ratio > 1 else "less")
