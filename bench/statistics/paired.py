"""Paired ratios of two arms, one pair a round: interval, difference, equivalence.

The unit is the process: a pair is one figure of each arm from the same pass, and its log ratio is
what everything here looks at. Every number is explained, and its coverage
shown, in docs/method/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
MARGIN = 0.02
"""Ratios within 1 / 1.02 and 1.02 are equivalent."""
BOOTSTRAP_FROM = 30
RESAMPLES = 10_000

# Logs of clock readings are rounded at 1e-16 of their size, so differences that agree to 1e-12 agree.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Ratio:
    """How many times the figures of `a` are those of `b`."""

    n: int
    """Pairs."""
    ratio: float
    """Geometric mean of a / b."""
    low: float
    high: float
    """The ends of the 95 % interval of the ratio."""
    p: float
    """Of the ratio being 1, two-sided, by the paired t test of the logs."""
    method: str
    """`t` or `bootstrap`: what made the interval."""

    @property
    def half_width(self) -> float:
        """How far the interval reaches above its middle, as a fraction: 0.01 is 1 %."""
        return half_width(self.low, self.high)


def half_width(low: float, high: float) -> float:
    """Return how far a ratio's interval reaches above its middle, as a fraction: 0.01 is 1 %."""
    return math.sqrt(high / low) - 1


def inverse(interval: tuple[float, float]) -> tuple[float, float]:
    """Return the interval of 1 / ratio."""
    return 1 / interval[1], 1 / interval[0]


def log_ratios(a: Sequence[float], b: Sequence[float]) -> np.ndarray:
    """Return log(a / b) (n,) of paired positive figures (n,).

    Raises ValueError for fewer than two pairs, arms of unequal length, or a figure that is not above 0.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} figures are no pairs")
    if len(a) < 2:
        raise ValueError(f"a paired ratio needs at least 2 pairs, not {len(a)}")
    pairs = np.asarray([a, b], np.float64)
    if not (np.isfinite(pairs) & (pairs > 0)).all():
        raise ValueError("a figure of a pair is not a positive number")
    return np.asarray(np.log(pairs[0]) - np.log(pairs[1]))


def paired_ratio(a: Sequence[float], b: Sequence[float], first_look: int | None = None) -> Ratio:
    """Return the ratio of paired figures (n,), n >= 2, with its t interval and the p of a ratio of 1.

    `first_look`: the pairs at which a stopping rule looked first; None where n was fixed beforehand.
    Student 1908, on logs. Raises ValueError as `log_ratios`.
    """
    logs = log_ratios(a, b)
    centre, error, freedom = _moments(logs, first_look)
    half = float(quantile(freedom)) * error
    p = 2 * float(tail(abs(centre), error, freedom))
    return Ratio(len(logs), *_exp(centre, centre - half, centre + half), p, "t")


def bootstrap_ratio(
    a: Sequence[float], b: Sequence[float], first_look: int | None = None, seed: int = 0
) -> Ratio:
    """Return the ratio of paired figures (n,), n >= 2, with a percentile bootstrap interval over pairs.

    Its percentiles are moved outwards for the n - 1 in the variance and for t ("expanded percentile
    interval", Hesterberg 2014, arXiv:1411.5279). Seeded; p is that of `paired_ratio`. Raises ValueError
    as `log_ratios`.
    """
    logs = log_ratios(a, b)
    drawn = np.random.default_rng(seed).integers(0, len(logs), (RESAMPLES, len(logs)))
    outside = tail_share(len(logs), first_look)
    low, high = np.quantile(logs[drawn].mean(axis=1), [outside, 1 - outside])
    p = paired_ratio(a, b, first_look).p
    return Ratio(len(logs), *_exp(float(logs.mean()), float(low), float(high)), p, "bootstrap")


def interval_ratio(a: Sequence[float], b: Sequence[float], first_look: int | None = None) -> Ratio:
    """Return the ratio with the interval that counts: t below 30 pairs, percentile bootstrap from 30 on."""
    chosen = paired_ratio if len(a) < BOOTSTRAP_FROM else bootstrap_ratio
    return chosen(a, b, first_look)


def equivalence(a: Sequence[float], b: Sequence[float], *, first_look: int | None = None) -> float:
    """Return the p of the ratio lying outside 1 / 1.02 .. 1.02: small says equivalent.

    Two one-sided t tests on logs (Schuirmann 1987); the larger p counts. Raises ValueError as `log_ratios`.
    """
    centre, error, freedom = _moments(log_ratios(a, b), first_look)
    return float(tail(math.log1p(MARGIN) - abs(centre), error, freedom))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values adjusted for their number, in their order (Holm 1979); None is no test and stays None.

    Whoever rejects those of at most 5 % is wrong about any of them in at most 5 % of matrices.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    reached = 0.0
    for rank, (p, place) in enumerate(tested):
        reached = max(reached, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = reached
    return adjusted


def degrees_of_freedom(n: int, first_look: int | None = None) -> int:
    """Return n - 1, or under a stopping rule those of its first look; never below 1.

    A rule that stops on a small deviation reports deviations that are too small. Stein 1945 takes the
    deviation of the first look alone, which is exact; taking its degrees of freedom with the deviation
    of all pairs is nearly so, and uses all pairs.
    """
    return (n if first_look is None else min(n, max(2, first_look))) - 1


def tail_share(n: int, first_look: int | None = None) -> float:
    """Return the share of resampled means that a bootstrap interval of n pairs leaves out at each end."""
    from scipy.stats import norm  # a slow import that few verbs need

    wide = quantile(degrees_of_freedom(n, first_look)) * math.sqrt(n / (n - 1))
    return float(norm.sf(wide))


def _moments(logs: np.ndarray, first_look: int | None) -> tuple[float, float, int]:
    """Return the mean of log ratios (n,), its standard error (0 within rounding), degrees of freedom."""
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return float(logs.mean()), error if error > ROUNDING else 0.0, degrees_of_freedom(len(logs), first_look)


def quantile_of(tail: float, freedom: int) -> float:
    """Return how many standard errors leave such a share of the t distribution above them."""
    from scipy.stats import t

    return float(t.isf(tail, freedom))


def quantile(freedom: npt.ArrayLike) -> np.ndarray:
    """Return how many standard errors an interval reaches to each side, of degrees of freedom (m,) or ()."""
    from scipy.stats import t

    return np.asarray(t.ppf(0.5 + CONFIDENCE / 2, freedom))


def tail(distance: npt.ArrayLike, error: npt.ArrayLike, freedom: npt.ArrayLike) -> np.ndarray:
    """Return P(t > distance / error), (m,) or (); without scatter 0 beyond rounding, 1/2 at it, 1 below."""
    from scipy.stats import t

    away, scatter = np.asarray(distance, np.float64), np.asarray(error, np.float64)
    sure = np.where(np.abs(away) <= ROUNDING, 0.5, (away < 0).astype(float))
    score = np.divide(away, scatter, where=scatter > 0, out=np.zeros_like(away))
    return np.where(scatter > 0, t.sf(score, freedom), sure)


def _exp(*logs: float) -> tuple[float, float, float]:
    ratio, low, high = map(math.exp, logs)
    return ratio, low, high
