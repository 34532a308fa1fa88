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


def percentile(samples: np.ndarray, percent: float) -> float:
    """Return the nearest-rank percentile of samples (n,): the smallest with at least `percent` % at or below.

    Raises ValueError without samples or outside 0 < percent <= 100. Source: Hyndman and Fan
    1996, definition 1; always one of the samples.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percent {percent} is outside (0, 100]")
    if len(samples) == 0:
        raise ValueError("no samples to take a percentile of")
    # The product is rounded first, or 0.07 * 100 = 7.000000000000001 would ask for the eighth.
    rank = max(1, math.ceil(round(percent * len(samples) / 100, 9)))
    return float(np.sort(samples)[rank - 1])


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


def pooled_percentiles(samples: np.ndarray, percents: Sequence[float] = (50, 90, 99)) -> dict[str, Any]:
    """Return {"p50", "p90", "p99", "nulls": {name: reason}} of samples (n,), pooled over rounds.

    A percentile of fewer samples than `queries_needed` is None, and `nulls` has its reason; the
    median is under the same rule, which asks 11 of it. Nearest rank, in the samples' unit.
    """
    found: dict[str, Any] = {"nulls": {}}
    for percent in percents:
        name, reason = f"p{percent:g}", why_withheld(percent, len(samples), " in all rounds")
        found[name] = None if reason else percentile(samples, percent)
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
