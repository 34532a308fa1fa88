"""Statistics of raw samples: pure functions, nothing trimmed. Those of pairs: see `bench.statistics.paired`.

docs/method/statistics.md says why each rule has its number.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from bench.statistics.paired import quantile

EARLY_STOPPING_CONFIDENCE = 0.99


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the two-sided 95 % t interval of the mean of independent values (n,), n >= 2.

    Source: Student 1908. Raises ValueError for fewer than two values.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"an interval needs at least 2 values, not {count}")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(quantile(count - 1)) * deviation / math.sqrt(count)
    return mean - half, mean + half


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values (n,), n >= 1: a cell's figure is that of its rounds'."""
    first = float(values[0])
    # Equal values are their own mean, to the last digit.
    return first * math.exp(float(np.mean(np.log(np.asarray(values) / first))))


def percentile(samples: np.ndarray, percent: float) -> float:
    """Return the nearest-rank percentile of samples (n,): the smallest with at least `percent` % at or below.

    Raises ValueError without samples or outside 0 < percent <= 100. Source: Hyndman and Fan
    1996, definition 1; always one of the samples.
    """
    _require(samples, percent)
    # The product is rounded first, or 0.07 * 100 = 7.000000000000001 would ask for the eighth.
    rank = max(1, math.ceil(round(percent * len(samples) / 100, 9)))
    return float(np.sort(samples)[rank - 1])


def percentile_of_rounds(rounds: Sequence[np.ndarray], percent: float) -> float:
    """Return the nearest-rank percentile of several rounds' samples (n_r,), whose rounds weigh alike.

    A sample weighs 1 / n_r, so a round that had time for more queries counts no more than another: the
    smallest sample with at least `percent` % of the weight at or below it. Raises ValueError as `percentile`.
    """
    samples = np.concatenate(rounds) if rounds else np.empty(0)
    _require(samples, percent)
    order = np.argsort(samples, kind="stable")
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in rounds if len(one)])[order]
    reached = np.cumsum(weights) / weights.sum()
    place = int(np.searchsorted(reached, percent / 100 - 1e-9))
    return float(samples[order][min(place, len(samples) - 1)])


def _require(samples: np.ndarray, percent: float) -> None:
    if not 0 < percent <= 100:
        raise ValueError(f"percent {percent} is outside (0, 100]")
    if len(samples) == 0:
        raise ValueError("no samples to take a percentile of")


@cache
def queries_needed(percent: float, over: int = 1) -> int:
    """Return how many queries an early-stopping percentile needs, `over` of which may lie above it.

    The smallest h + over for which at most `over` of that many queries lie above the true percentile
    with a probability below 0.01: I_p(h, over + 1) < 1 - 0.99, the regularised incomplete beta. 64
    for p90 and 662 for p99. Source: MLPerf LoadGen, early_stopping.cc (`odds`, `find_min_passing`
    with tolerance 0) and results.cc, which asks for `over` = 1 at least where a latency is reported.
    """
    from scipy import special  # a slow import that few verbs need

    def are_enough(h: int) -> bool:
        return bool(special.betainc(h, over + 1, percent / 100) < 1 - EARLY_STOPPING_CONFIDENCE)

    counts = range(1, 2**53)
    return counts[bisect_left(counts, True, key=are_enough)] + over


def why_withheld(percent: float, queries: int, where: str = "") -> str | None:
    """Return why a percentile of so many queries is not given; None where they are enough.

    where: " in all rounds", or another word on where they were counted.
    """
    needed = queries_needed(percent)
    return None if queries >= needed else f"{counted(queries, 'query', 'queries')}{where}, needs {needed}"


def effective_queries(counts: Sequence[int]) -> int:
    """Return how many queries of equal weight say as much as those of rounds that weigh alike.

    counts: the queries of each round, all above 0. The square of the sum of the weights over the sum of
    their squares, rounded down (Kish 1965, section 11.7): all of them where rounds have equally many.
    """
    return int(len(counts) ** 2 / sum(1 / count for count in counts) + 1e-9)


def pooled_percentiles(rounds: Sequence[np.ndarray], percents: Sequence[float] = (90, 99)) -> dict[str, Any]:
    """Return {"p90", "p99", "nulls": {name: reason}} of the samples (n_r,) of rounds, which weigh alike.

    A percentile of fewer effective queries than `queries_needed` is None, and `nulls` has its reason.
    Nearest rank, in the samples' unit.
    """
    found: dict[str, Any] = {"nulls": {}}
    counts = [len(one) for one in rounds]
    queries, total = effective_queries(counts), sum(counts)
    where = " in all rounds" if queries == total else f" of equal weight, of {total} in unequal rounds"
    for percent in percents:
        name, reason = f"p{percent:g}", why_withheld(percent, queries, where)
        found[name] = None if reason else percentile_of_rounds(rounds, percent)
        if reason:
            found["nulls"][name] = reason
    return found


def iqr(samples: np.ndarray) -> float:
    """Return the distance between the nearest-rank quartiles of samples (n,)."""
    return percentile(samples, 75) - percentile(samples, 25)


def spread(samples: np.ndarray) -> float:
    """Return IQR / median of positive samples (n,)."""
    return iqr(samples) / percentile(samples, 50)


def drift(samples: np.ndarray) -> float:
    """Return median of second half / median of first half - 1, of positive samples (n,) in order of time."""
    half = len(samples) // 2
    if half == 0:
        return 0.0
    return percentile(samples[half:], 50) / percentile(samples[:half], 50) - 1


def latency(latency_ns: np.ndarray) -> dict[str, Any]:
    """Return {"latency_ms": {p50, p90, mean, min, max, iqr}, "n"} of latencies (n,) in nanoseconds."""
    ms = np.asarray(latency_ns, np.float64) / 1e6
    return {
        "latency_ms": {
            "p50": percentile(ms, 50),
            "p90": percentile(ms, 90),
            "mean": float(ms.mean()),
            "min": float(ms.min()),
            "max": float(ms.max()),
            "iqr": iqr(ms),
        },
        "n": len(ms),
    }


def throughput(block_ns: np.ndarray, images_per_block: int, batch: int) -> dict[str, Any]:
    """Return {"images_per_s", "n" images, "batch"} of the durations (m,) of equal blocks."""
    n = len(block_ns) * images_per_block
    return {"images_per_s": n / (float(np.sum(block_ns)) / 1e9), "n": n, "batch": batch}


def counted(count: int, one: str, many: str) -> str:
    """Return a number of things: 1 round, 2 rounds."""
    return f"{count} {one if count == 1 else many}"
