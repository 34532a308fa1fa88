"""Benches that never ran: figures of two or more arms with a known ratio, thousands of benches at once.

The arms of a pass stand at random places of a sweep over six cells, and a drift that all share moves
linearly in time over the whole bench, so that what is left of it within a pass becomes noise.
What is vectorised here is what `bench.statistics.paired` does for one bench; a test holds the two together.
"""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from bench.cells.protocol import PROFILES
from bench.statistics.paired import degrees_of_freedom, tail_share
from bench.statistics.stopping import StoppingRule

FIRST_LOOK, LAST_LOOK, HALF_WIDTH = (
    PROFILES["official"][name] for name in ("rounds", "rounds_max", "half_width")
)
RULE = StoppingRule(FIRST_LOOK, LAST_LOOK, HALF_WIDTH)
"""Of `official`: the pairs at which it looks first and last, and the half-width that is enough."""

BENCHES = 10_000
KINDS = ("normal", "t5")
CELLS = 6
DRIFT = 0.2
"""The machine is a fifth slower at the end of a bench than at its start, as a laptop that warms up."""


def noise(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return log noise (benches, rounds, arms) of mean 0: `normal`, `t5` (heavier tails) or `bursts`.

    Of variance 1, to which `bursts` adds that the first arm alone is slow, by 10, in one round of ten.
    """
    if kind == "t5":
        return rng.standard_t(5, shape) / np.sqrt(5 / 3)
    drawn = rng.standard_normal(shape)
    if kind == "bursts":
        drawn[..., 0] += 10 * (rng.random(shape[:-1]) < 0.1) - 1
    return drawn


def times(
    kind: str, sigma: float, drift: float, benches: int, rounds: int, arms: int = 2, seed: int = 0
) -> np.ndarray:
    """Return times (benches, rounds, arms) of equal arms; `sigma` is the deviation of a log ratio of two."""
    rng = np.random.default_rng(seed)
    places = np.broadcast_to(np.arange(CELLS) / CELLS, (benches, rounds, CELLS))
    when = (np.arange(rounds)[:, None] + rng.permuted(places, axis=2)[..., :arms]) / rounds
    own = sigma / np.sqrt(2) * noise(rng, kind, (benches, rounds, arms))
    return np.exp(own + drift * when)


def log_ratios(arms: np.ndarray) -> np.ndarray:
    """Return log(first / second) (benches, rounds) of times (benches, rounds, 2)."""
    return np.log(arms[..., 0]) - np.log(arms[..., 1])


def moments(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error after each round (benches, rounds); no error after the first."""
    n = np.arange(1, logs.shape[1] + 1)
    mean = np.cumsum(logs, axis=1) / n
    squares = np.cumsum(logs**2, axis=1) - n * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, np.sqrt(np.maximum(squares, 0) / (n - 1) / n)


def quantiles(rounds: int, first_look: int | None) -> np.ndarray:
    """Return the t quantile (rounds,) of a 95 % interval after each round; NaN after the first."""
    freedom = [degrees_of_freedom(n, first_look) or np.nan for n in range(1, rounds + 1)]
    return scipy_stats.t.ppf(0.975, freedom)


def stop(logs: np.ndarray, first_look: int | None = FIRST_LOOK) -> np.ndarray:
    """Return after how many rounds (benches,) the stopping rule ends benches of log ratios (benches, 30).

    With `first_look` None it judges plain t intervals of n - 1 degrees of freedom: the rule uncorrected.
    """
    _, error = moments(logs)
    narrow = np.exp(quantiles(LAST_LOOK, first_look) * error) - 1 <= HALF_WIDTH
    narrow[:, : FIRST_LOOK - 1] = False
    narrow[:, LAST_LOOK - 1] = True
    return np.argmax(narrow, axis=1) + 1


def t_values(logs: np.ndarray, n: np.ndarray, truth: float = 0.0) -> np.ndarray:
    """Return t (benches,) of the mean log ratio being `truth` after n (benches,) rounds."""
    mean, error = moments(logs)
    at = (np.arange(len(logs)), n - 1)
    return (mean[at] - truth) / error[at]


def t_covers(logs: np.ndarray, n: np.ndarray, first_look: int | None = None) -> np.ndarray:
    """Whether (benches,) the t interval after n (benches,) rounds holds the true ratio of 1."""
    return np.abs(t_values(logs, n)) <= quantiles(logs.shape[1], first_look)[n - 1]


def bootstrap_covers(
    logs: np.ndarray, first_look: int | None = None, plain: bool = False, resamples: int = 1000
) -> np.ndarray:
    """Whether (benches,) the percentile bootstrap interval holds 1; `plain` does not move it outwards."""
    n = logs.shape[1]
    drawn = np.random.default_rng(0).integers(0, n, (resamples, n))
    shares = np.stack([np.bincount(one, minlength=n) for one in drawn]) / n
    outside = 0.025 if plain else tail_share(n, first_look)
    low, high = np.quantile(logs @ shares.T, [outside, 1 - outside], axis=1)
    return (low <= 0) & (high >= 0)


def official_covers(logs: np.ndarray) -> np.ndarray:
    """Whether (benches,) what `official` reports holds 1: t where it stopped early, bootstrap after 30."""
    n = stop(logs)
    covers = t_covers(logs, n, FIRST_LOOK)
    last = n == LAST_LOOK
    covers[last] = bootstrap_covers(logs[last], FIRST_LOOK)
    return covers


def row(table: list[str], interval: str, kind: str, sigma: float, rounds: float, covered: float) -> None:
    """Note a line of a table of coverages."""
    table.append(f"| {interval} | {kind} | {sigma:.3f} | {DRIFT:.0%} | {rounds:.0f} | {covered:.1%} |")
