"""Tasks side by side, each of which starts a child and waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TypeVar

import psutil

from bench.machine import fingerprint

LOOK_S = 0.25
"""Between two looks for children, once interrupted."""

T = TypeVar("T")


def together(tasks: Sequence[Callable[[], T]], at_once: int) -> list[T]:
    """Return what each task gives, in their order; `at_once` run at a time, begun in that order.

    Raises what the first that failed raised, when none is running any more. An interrupt ends
    the children of this process, which it would otherwise wait for.
    """
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BaseException as error:
            for future in futures:
                future.cancel()
            # Again and again: a task may be about to start its child.
            while not isinstance(error, Exception) and wait(futures, LOOK_S).not_done:
                for child in fingerprint.descendants():
                    with suppress(psutil.Error):
                        child.terminate()
            raise
