"""Libraries that bench.ceilings.kernels times in tests: one of a known speed, and some that cannot."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from bench.ceilings.kernels import flop
from pose.errors import Unsupported

FLOP_PER_S = 1e12
"""Of `steady`, a thread; twice that for convolutions of 512 channels."""


def steady(kernel: dict[str, Any], precision: str, device: str, threads: int) -> Callable[[], None]:
    if precision == "int8":
        raise Unsupported("no int8 here")
    fast = 2 if kernel.get("channels_in") == 512 else 1
    seconds = flop(kernel) / (FLOP_PER_S * threads * fast)
    return lambda: time.sleep(seconds)


def crashes(kernel: dict[str, Any], precision: str, device: str, threads: int) -> Callable[[], None]:
    os._exit(3)


def absent(kernel: dict[str, Any], precision: str, device: str, threads: int) -> Callable[[], None]:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")
