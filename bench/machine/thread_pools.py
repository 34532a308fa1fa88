"""Which thread pools this process has loaded, as threadpoolctl and the kernel see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import threadpoolctl

from bench.doubts import Doubt, doubt

TASKS = Path("/proc/self/task")


def view() -> dict[str, Any]:
    """Return {"pools": [{library, api, threads, version, layer}], "os_threads"} of this process; only reads.

    Pools of OpenMP and BLAS libraries alone are seen: neither OpenVINO's (TBB) nor TensorFlow's (Eigen)
    is. `os_threads` counts whatever the kernel schedules, waiting threads included; None without /proc.
    A library that several packages bring stands once for each.
    """
    pools = [_pool(found) for found in threadpoolctl.threadpool_info()]
    os_threads = len(list(TASKS.iterdir())) if TASKS.exists() else None
    return {"pools": sorted(pools, key=lambda pool: str(pool["library"])), "os_threads": os_threads}


def doubts(pools: Sequence[Mapping[str, Any]], asked: int) -> list[Doubt]:
    """Return what `view` says of pools that have more threads than a lane was asked to have."""
    return [
        doubt("pool size", str(pool["library"]), pool["threads"], asked)
        for pool in pools
        if pool["threads"] and pool["threads"] > asked
    ]


def _pool(found: dict[str, Any]) -> dict[str, Any]:
    """Return one pool; its library by file name, since where it lies is the machine's affair."""
    return {
        "library": Path(found["filepath"]).name,
        "api": found["user_api"],
        "threads": found["num_threads"],
        "version": found.get("version"),
        "layer": found.get("threading_layer"),
    }
