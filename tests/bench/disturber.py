"""A neighbour: occupies one core half of the time, at random. `python tests/bench/disturber.py --seed 1`.

It computes for a while and sleeps for a while in turn, each for an exponentially distributed time of the same
mean, until it is ended or its seconds are over. The seed repeats the times. Nothing but Python is needed.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator

MEAN_S = 4.0
"""Of a spell of work and of one of rest: a compiler's file, a page that loads, a job of a scheduler."""


def spells(seed: int, mean_s: float) -> Iterator[tuple[float, float]]:
    """Yield seconds of work and of the rest that follows, without end."""
    drawn = random.Random(seed)
    while True:
        yield drawn.expovariate(1 / mean_s), drawn.expovariate(1 / mean_s)


def disturb(seed: int, mean_s: float, seconds: float) -> None:
    """Work and rest in turn for so many seconds."""
    end_s = time.monotonic() + seconds
    for work_s, rest_s in spells(seed, mean_s):
        until_s = min(end_s, time.monotonic() + work_s)
        while time.monotonic() < until_s:
            sum(range(1000))
        if time.monotonic() >= end_s:
            return
        time.sleep(max(0.0, min(rest_s, end_s - time.monotonic())))


def main() -> None:
    """Read the options and disturb."""
    options = argparse.ArgumentParser(description="Occupies one core half of the time, at random.")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--mean-s", type=float, default=MEAN_S, help="of a spell of work, and of rest")
    options.add_argument("--seconds", type=float, default=float("inf"), help="until it ends by itself")
    given = options.parse_args()
    disturb(given.seed, given.mean_s, given.seconds)


if __name__ == "__main__":
    main()
