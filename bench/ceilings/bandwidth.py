"""How fast this machine moves memory: NumPy copies and adds arrays that no cache holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np

from bench.contract import Emit
from bench.machine import fingerprint

TIMES_THE_CACHE = 4
"""An array holds this many times the last cache (STREAM's rule)."""
LEAST_BYTES = 64 * 2**20
MOST_SHARE_OF_MEMORY = 1 / 16
"""Of one array; there are three."""

KERNELS: dict[str, tuple[int, Callable[[np.ndarray, np.ndarray, np.ndarray], Any]]] = {
    "copy": (2, lambda a, b, c: np.copyto(c, a)),
    "add": (3, lambda a, b, c: np.add(a, b, out=c)),
}
"""Arrays that cross the bus, as STREAM counts (what a cache fetches before it overwrites does not count),
and the work. NumPy needs two passes for STREAM's triad, so it is left out."""


def array_bytes() -> int:
    """Return the size of one array: beyond the last cache, within the memory that may be used."""
    wanted = max(LEAST_BYTES, TIMES_THE_CACHE * fingerprint.last_cache_bytes())
    limit = fingerprint.memory_limit_bytes()
    return wanted if limit is None else min(wanted, int(limit * MOST_SHARE_OF_MEMORY))


def time_all(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return {"bandwidth": [{"kernel", "threads", "gb_s"}]}: the best of each kernel and thread count.

    payload: threads (list), until_s (of `time.monotonic`), array_bytes. GB are 10^9 bytes.
    """
    count, found = payload["array_bytes"] // 8, []
    cases = [(threads, name) for threads in payload["threads"] for name in KERNELS]
    for done, (threads, name) in enumerate(cases):
        seconds = (payload["until_s"] - time.monotonic()) / (len(cases) - done)
        arrays, work = KERNELS[name]
        best_s = _shortest(work, threads, count // threads, seconds)
        moved = arrays * 8 * (count // threads) * threads
        found.append({"kernel": name, "threads": threads, "gb_s": moved / best_s / 1e9})
    return {"bandwidth": found}


def _shortest(work: Callable[..., Any], threads: int, count: int, seconds: float) -> float:
    """Return the shortest time in which all threads did `work` on arrays of `count` numbers of their own."""
    end, best_s = time.monotonic() + seconds, float("inf")
    gate = Barrier(threads)

    def member(arrays: list[np.ndarray]) -> tuple[float, float]:
        gate.wait()
        started_s = time.perf_counter()
        work(*arrays)
        return started_s, time.perf_counter()

    with ThreadPoolExecutor(threads) as pool:
        # Filled by the threads, so that each one's memory is near to it.
        held = list(pool.map(lambda _: [np.ones(count) for _ in range(3)], range(threads)))
        while best_s == float("inf") or time.monotonic() < end:
            starts, ends = zip(*pool.map(member, held), strict=True)
            best_s = min(best_s, max(ends) - min(starts))
    return best_s
