"""Statistics of raw samples: pure functions, nothing trimmed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

CONFIDENCE = 0.95

FLAG_SPREAD = 0.10
INVALID_SPREAD = 0.25
FLAG_DRIFT = 0.02


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two-sided t interval of the mean of independent values (n,), n >= 2.

    Source: Student 1908. Raises ValueError for fewer than two values.
    """
    from scipy import stats as scipy_stats  # a slow import that few verbs need

    count = len(values)
    if count < 2:
        raise ValueError(f"an interval needs at least 2 values, not {count}")
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(scipy_stats.t.ppf(0.5 + confidence / 2, count - 1)) * deviation / math.sqrt(count)
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


def validity(samples: np.ndarray) -> dict[str, Any]:
    """Return {"verdict": VALID, FLAGGED or INVALID, "reasons"} of durations (n,) in order of time.

    IQR / median above 10 % flags and above 25 % invalidates; a drift between halves above 2 % flags.
    """
    verdict, reasons = "VALID", []
    if abs(moved := drift(samples)) > FLAG_DRIFT:
        verdict = "FLAGGED"
        reasons.append(f"the second half is {moved:+.1%} from the first")
    if (wide := spread(samples)) > FLAG_SPREAD:
        verdict = "INVALID" if wide > INVALID_SPREAD else "FLAGGED"
        reasons.append(f"IQR is {wide:.1%} of the median")
    return {"verdict": verdict, "reasons": reasons}
