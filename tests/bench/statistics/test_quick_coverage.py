"""Is `quick` as sure as it says, alone and beside a neighbour? Simulated benches; `-s` prints the tables."""

from __future__ import annotations

import neighbours
import numpy as np
import pytest
import sequential
from sequential import FIRST, LAST, Looks
from simulating import BENCHES, DRIFT, KINDS, row, times

from bench.cells.protocol import MOST_ROUNDS
from bench.statistics import paired
from bench.statistics.paired import MARGIN

APART = np.array([0.0, 0.3, 0.6, 1.0])
"""Logs of four arms' times: the nearest two are 1.35x apart."""

LANES: dict[str, tuple[tuple[float, ...], ...]] = {
    "1 pair, equal": ((0, 0),),
    "17 pairs, equal": ((0,) * 5, (0,) * 4, (0,) * 2),
    "3 pairs, 2 apart": ((0, 0, 0.3),),
    "17 pairs, 14 apart": ((0, 0, 0.02, 0.3, 1), (0, 0.05, 0.3, 0.4), (0, 0)),
}
"""By name, a matrix's lanes: logs of their arms' times."""


def lane(
    kind: str, sigma: float, logs: tuple[float, ...], benches: int, rounds: int, seed: int
) -> np.ndarray:
    """Return times (benches, rounds, arms) of arms that are so far apart."""
    return times(kind, sigma, DRIFT, benches, rounds, len(logs), seed) * np.exp(logs)


def truths(logs: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Return the true log ratios (pairs,) of arms, in the order of `sequential.pairs`."""
    return np.array([logs[a] - logs[b] for b in range(len(logs)) for a in range(b + 1, len(logs))])


def together(found: list[Looks]) -> Looks:
    """Return the pairs of all lanes of each bench as one matrix."""
    means, errors = ([getattr(one, name) for one in found] for name in ("mean", "error"))
    return Looks(np.concatenate(means, axis=1), np.concatenate(errors, axis=1), found[0].freedom)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.02, 0.04, 0.06, 0.12])
@pytest.mark.parametrize("matrix", LANES)
def test_quick_is_wrong_about_any_pair_in_one_matrix_of_twenty(
    table: list[str], matrix: str, sigma: float, kind: str
):
    lanes, benches = LANES[matrix], BENCHES if matrix == "1 pair, equal" else 3000
    family = sum(len(arms) * (len(arms) - 1) // 2 for arms in lanes)
    ended, passes = [], []
    for seed, arms in enumerate(lanes):
        looks = Looks.of(sequential.pairs(lane(kind, sigma, arms, benches, LAST, seed)))
        ends = sequential.stop(looks, family)
        ended.append(looks.at(sequential.shared(ends)))
        passes.append(ends)
    found, truth = together(ended), np.concatenate([truths(arms) for arms in lanes])
    covered, wrong = found.covers(truth).mean(), found.wrong(truth).any(axis=1).mean()
    row(
        table,
        f"quick, {matrix}; wrong {wrong:.1%}",
        kind,
        sigma,
        float(np.concatenate(passes, axis=1).mean()),
        covered,
    )
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 / benches)
    assert covered >= 0.93
    edge = np.abs(truth) >= np.log1p(MARGIN) - 1e-12
    assert found.equivalent[:, edge].mean(axis=0).max(initial=0) <= 0.05 + 3 * np.sqrt(0.05 / benches)


def of_two_kinds(share: float, times: float, apart: float, benches: int) -> np.ndarray:
    """Return medians (benches, rounds, 2) of arms of which about that share of queries take so many times.

    The share is another in each round, and so the median jumps where it is above one half: IQR / median is
    `times` - 1 in every round.
    """
    rng = np.random.default_rng(4)
    shape = (benches, LAST, 2)
    jumps = rng.normal(share, 0.1, shape) > 0.5
    return np.exp(rng.normal(0, 0.01, shape)) * np.where(jumps, times, 1.0) * np.exp([0, apart])


@pytest.mark.parametrize("times", [1.3, 1.8, 3.0])
@pytest.mark.parametrize("share", [0.3, 0.4, 0.5])
def test_queries_of_two_kinds_keep_far_arms_from_no_decision_and_tell_no_equal_ones_apart(
    table: list[str], share: float, times: float
):
    """However wildly the queries of a round spread: what they do to its median, rounds scatter by."""
    benches = 3000
    looks = [Looks.of(sequential.pairs(of_two_kinds(share, times, apart, benches))) for apart in (0.0, 1.0)]
    equal, far = (one.at(sequential.shared(sequential.stop(one, 17))) for one in looks)
    said = f"{share:.0%} of queries take {times:g}x; wrong {equal.wrong().mean():.1%}"
    row(
        table,
        f"{said}; 2.7x apart: {far.different.mean():.0%}",
        "",
        0.01,
        float(LAST),
        far.covers(1.0).mean(),
    )
    assert equal.wrong().mean() <= 0.05
    assert far.wrong(1.0).mean() <= 0.01
    assert far.different.mean() > (0.95 if times < 2 else 0.3)


def test_stopping_at_decisions_would_be_wrong_more_often_unpaid():
    looks = Looks.of(sequential.pairs(times("normal", 0.12, DRIFT, BENCHES, LAST)))
    assert looks.at(sequential.shared(sequential.stop(looks, 1, looking=1))).different.mean() > 0.07


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sigma", [0.01, 0.015, 0.02, 0.03, 0.04, 0.06])
def test_more_until_it_does_nothing_is_wrong_in_hardly_more_than_one_pair_of_twenty(
    table: list[str], kind: str, sigma: float
):
    """The most that anybody can look: `--more` asked again and again, on one pair alone."""
    slack = 3 * np.sqrt(0.05 / BENCHES)
    found = {}
    for what, apart in (("equal", 0.0), ("at the margin", np.log1p(MARGIN))):
        looks = Looks.of(sequential.pairs(lane(kind, sigma, (0, apart), BENCHES, MOST_ROUNDS, 1)))
        n = sequential.measured_on(looks, sequential.shared(sequential.stop(looks, 1)))
        ended = looks.at(n)
        covered = ended.covers(apart).mean()
        found[what] = ended
        row(table, f"quick and --more, {what}", kind, sigma, float(n.mean()), covered)
        assert covered >= 0.93
    assert found["equal"].different.mean() <= 0.055 + slack
    assert found["at the margin"].equivalent.mean() <= 0.06 + slack


def test_what_is_simulated_of_quick_is_what_the_bench_does():
    arms = times("t5", 0.05, DRIFT, 60, LAST) * np.exp([0, 0.1])
    looks = Looks.of(sequential.pairs(arms))
    stopped = sequential.shared(sequential.stop(looks, 1))
    assert len(np.unique(stopped)) > 4
    for bench, end in zip(arms, stopped[:, 0], strict=True):
        b, a = bench.T
        literal = next(n for n in range(1, LAST + 1) if sequential.RULE.is_over(a[:n], b[:n], n))
        assert literal == end
    ended = zip(arms, stopped[:, 0], strict=True)
    found = [paired.paired_ratio(one[:n, 1], one[:n, 0], FIRST) for one, n in ended]
    assert [one.p for one in found] == pytest.approx(looks.at(stopped).p[:, 0])


# A neighbour that works half of the time

OLD = {"tries": 1, "rounds": 3}
"""`quick` of before: three rounds of one try, whatever disturbed them."""


def beside(
    windows_s: tuple[float, ...],
    spell_s: float,
    logs: np.ndarray,
    tries: int,
    rounds: int,
    counting: bool = False,
    benches: int = 3000,
) -> tuple[Looks, np.ndarray, float]:
    """Return how benches of a lane end beside a neighbour, their arms' passes, and the tries of a round.

    counting: whether disturbed passes of a pair do not count beside enough undisturbed ones.
    """
    found = neighbours.met(windows_s, spell_s, tries, benches, rounds)
    arms = lane("normal", 0.02, tuple(logs), benches, rounds, 1) * (1 + found.share)
    first = min(FIRST, rounds)
    met = np.moveaxis(found.share > neighbours.DISTURBED, 2, 0)
    quiet = np.stack([~(met[a] | met[b]) for b in range(len(logs)) for a in range(b + 1, len(logs))], axis=1)
    looks = Looks.of(sequential.pairs(arms), first, quiet.astype(float) if counting else None)
    ends = (
        sequential.stop(looks, looks.mean.shape[1])
        if rounds > FIRST
        else np.full((benches, len(logs)), rounds)
    )
    return looks.at(sequential.shared(ends)), ends, float(found.tries.mean())


@pytest.mark.parametrize("windows_s", [(1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 3.0)])
@pytest.mark.parametrize("spell_s", [1.0, 2.0, 4.0, 8.0, 15.0])
def test_a_neighbour_keeps_a_bench_from_no_decision_and_makes_it_wrong_no_more_often(
    table: list[str], spell_s: float, windows_s: tuple[float, ...]
):
    """Whether it comes to all arms alike, or more often to the last one, whose window is longer."""
    decided = {}
    for name, given in {
        "before": OLD,
        "once": {"tries": 1, "rounds": LAST},
        "all count": {"tries": 3, "rounds": LAST},
        "now": {"tries": 3, "rounds": LAST, "counting": True},
    }.items():
        equal, passes, tries = beside(windows_s, spell_s, 0 * APART, **given)
        apart, fewer, _ = beside(windows_s, spell_s, APART, **given)
        wrong, covered = equal.wrong().any(axis=1).mean(), apart.covers(truths(APART)).mean()
        decided[name] = apart.different.mean()
        said = f"{name}, spells of {spell_s:g} s, windows {windows_s[-1]:g} s; wrong {wrong:.1%}"
        said += f"; {tries:.2f} tries; decides {decided[name]:.1%}"
        row(table, said, "normal", 0.02, float(fewer.mean()), covered)
        assert not apart.wrong(truths(APART)).any(axis=1).mean() > 0.05
        if name == "now":
            # Spells much shorter than a window leave it no quiet place: see the page.
            has_place = 2 * spell_s > windows_s[-1]
            assert wrong <= (0.05 if has_place else 0.07) + 3 * np.sqrt(0.05 / len(passes))
            assert covered >= (0.93 if has_place else 0.80)
    assert decided["now"] > decided["once"]
    assert decided["now"] > 5 * decided["before"]
    assert decided["now"] > (0.9 if spell_s <= 8 else 0.6)
