"""The command, run in the test's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | None
    out: str
    error: str


Say = Callable[..., Ended]
