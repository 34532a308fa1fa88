"""A flag means something: what could move a figure out of its interval is flagged, the rest is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import run_folders

import bench
from bench.doubts import KINDS, OLDER, Doubt, doubt
from bench.machine import conditions, gpu_conditions
from bench.machine.disturbance import Disturbance
from bench.machine.gpu_conditions import POWER_CAP, GpuConditions
from bench.run.results import Round
from bench.statistics.samples import t_interval
from bench.statistics.validity import Steadiness, Validity, cell_validity, steadiness
from bench.verdicts import cell_figures

CELLS = 300


def judged(rounds: Sequence[np.ndarray]) -> Validity:
    """Return the verdict on a cell of rounds with these durations (n_r,)."""
    low, high = t_interval([math.log(np.median(one)) for one in rounds])
    half_width = math.expm1((high - low) / 2)
    return cell_validity([Validity()] * len(rounds), [steadiness(one) for one in rounds], half_width)


def quiet(rng: np.random.Generator, rounds: int, queries: int = 150) -> list[np.ndarray]:
    """Return a cell's rounds on a quiet machine: 3 % between queries, 1 % between rounds, a slow wander.

    The wander moves the second half of one round in three by more than 2 %, as on the two cores where seven
    cells of three rounds in ten were flagged for it.
    """
    made = []
    for _ in range(rounds):
        wander = rng.normal(0, 0.02) * np.linspace(-1, 1, queries)
        made.append(np.exp(rng.normal(0, 0.01) + wander + rng.normal(0, 0.03, queries)))
    return made


@pytest.mark.parametrize("rounds", [3, 4, 7, 10])
def test_on_a_quiet_machine_at_most_one_cell_in_ten_is_flagged(rounds: int) -> None:
    rng = np.random.default_rng(0)
    cells = [quiet(rng, rounds) for _ in range(CELLS)]
    before = np.mean([any(abs(steadiness(one).drift) > 0.02 for one in cell) for cell in cells])
    now = np.mean([judged(cell).verdict != "VALID" for cell in cells])
    assert before > 0.6, "what every drift of 2 % would flag"
    assert now <= 0.1


@pytest.mark.parametrize("rounds", [3, 7])
def test_a_cell_that_is_still_warming_up_is_flagged_with_what_to_do(rounds: int) -> None:
    rng = np.random.default_rng(1)
    settling = np.exp(np.linspace(0.06, -0.06, 150))
    cells = [[one * settling for one in quiet(rng, rounds)] for _ in range(CELLS)]
    found = [judged(cell) for cell in cells]
    assert np.mean([one.verdict == "FLAGGED" for one in found]) > (0.5 if rounds == 3 else 0.95)
    said = next(one.reasons[0] for one in found if one.verdict == "FLAGGED")
    assert said.startswith("second halves of rounds are -")
    assert said.endswith("(let it settle by a longer warm-up (warmup_s of the matrix), then measure again)")


STEADY = Steadiness(0.0, 0.02)


def flags(steady: Sequence[Steadiness], half_width: float | None) -> list[str]:
    return cell_validity([Validity()] * len(steady), steady, half_width).reasons


def test_drift_of_one_round_is_in_the_interval_and_no_flag() -> None:
    assert flags([STEADY, STEADY, Steadiness(0.05, 0.03)], 0.03) == []
    assert flags([Steadiness(0.05, 0.03), Steadiness(-0.05, 0.03), STEADY], 0.0) == []


def test_drift_that_all_rounds_share_is_flagged_where_the_interval_does_not_reach() -> None:
    alike = [Steadiness(0.05, 0.03)] * 3
    assert flags(alike, 0.03) == []
    [said] = flags(alike, 0.01)
    assert "+5.0% from first ones, so the figure is known to 2.5%, its interval 1.0% (" in said
    assert flags([Steadiness(0.019, 0.03)] * 3, 0.0) == [], "within half of the margin of equivalence"
    assert len(flags([Steadiness(0.05, 0.03)], None)) == 1, "one round has no interval that could know it"


WIDE = Steadiness(0.0, 0.14)


def test_a_spread_flags_where_at_least_half_of_the_rounds_have_it() -> None:
    assert flags([STEADY, STEADY, WIDE], 0.01) == []
    [said] = flags([STEADY, WIDE, Steadiness(0.0, 0.12)], 0.01)
    assert said.startswith("2 of 3 rounds: IQR is up to 14.0% of the median (let 'twinpose doctor' look")
    wild = cell_validity([Validity()] * 3, [Steadiness(0.0, 0.8)] * 3, 0.3)
    assert wild.verdict == "FLAGGED", "how rounds scatter decides, and queries as wild as they are do not"


def test_a_round_that_an_older_version_called_wild_is_read_as_it_was() -> None:
    """Recorded where fewer than half are; half of them invalidate."""
    wild, fault = Validity.of(doubt("wild", 0.3)), Validity.of(doubt("other threads", 1, 2))
    assert cell_validity([wild, Validity(), Validity()]) == Validity()
    found = cell_validity([wild, wild, Validity()])
    assert (found.verdict, len(found.reasons)) == ("INVALID", 1)
    assert cell_validity([fault, Validity(), Validity()]).verdict == "FLAGGED"


def of_two_kinds(rng: np.random.Generator, cells: int, share: float) -> np.ndarray:
    """Return durations (cells, 7, 150) of rounds, in which about that share takes 1.25 times."""
    rounds, queries = (cells, 7, 1), (cells, 7, 150)
    slow = rng.random(queries) < np.clip(rng.normal(share, 0.05, rounds), 0, 1)
    return np.exp(rng.normal(0, 0.01, rounds) + rng.normal(0, 0.02, queries)) * np.where(slow, 1.25, 1.0)


def covers(cells: np.ndarray) -> float:
    """Return how often the interval of a cell's rounds holds what all cells (n, rounds, queries) come to."""
    logs = np.log(np.median(cells, axis=2))
    ends = np.array([t_interval(one) for one in logs])
    return float(np.mean((ends[:, 0] <= logs.mean()) & (logs.mean() <= ends[:, 1])))


def test_a_spread_is_flagged_since_an_interval_does_not_know_when_a_median_may_jump() -> None:
    rng = np.random.default_rng(2)
    near_half = of_two_kinds(rng, CELLS, 0.4)
    assert covers(near_half) < 0.8, (
        "few rounds often hold no jump, and nothing in them says that one is to come"
    )
    assert np.mean([judged(cell).verdict != "VALID" for cell in near_half]) > 0.99
    assert covers(np.exp(rng.normal(0, 0.01, (CELLS, 7, 1)) + rng.normal(0, 0.1, (CELLS, 7, 150)))) > 0.92


def test_a_wild_round_now_and_then_is_known_to_the_interval_and_flags_no_more_than_one_cell_in_ten() -> None:
    rng = np.random.default_rng(3)
    wild = rng.random((CELLS, 7, 1)) < 0.1
    slow = (rng.random((CELLS, 7, 150)) < 0.35) & wild
    cells = np.exp(rng.normal(0, 0.01, (CELLS, 7, 1)) + rng.normal(0, 0.02, (CELLS, 7, 150))) * (1 + slow)
    with_one = np.array([any(steadiness(one).spread > 0.25 for one in cell) for cell in cells])
    assert with_one.mean() > 0.4, "what one wild round would flag"
    assert covers(cells[with_one]) > 0.93
    assert np.mean([judged(cell).verdict != "VALID" for cell in cells]) <= 0.1


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {OLDER}))
def test_every_doubt_that_can_flag_says_what_to_do(kind: str) -> None:
    found = cell_validity([Validity.of(doubt(kind, *(0.5, 2, "")))])
    assert found.verdict in {"FLAGGED", "INVALID"}
    [reason], [kept] = found.reasons, found.doubts
    assert KINDS[kind].cure in reason.removeprefix(f"1 of 1 round: {kept.text} ("), reason
    assert reason.endswith(")")


def test_every_kind_is_made_somewhere() -> None:
    root = Path(bench.__file__).parent
    text = "".join(path.read_text() for path in root.rglob("*.py") if path.name != "doubts.py")
    assert [kind for kind in KINDS if kind and f'"{kind}"' not in text] == ["wild"]


def made(*doubts: Doubt) -> Round:
    """Return a round with these doubts, as stored and read again."""
    [one] = run_folders.result(run_folders.cell(), [5.0]).rounds
    flagged = msgspec.structs.replace(one, validity=Validity.of(*doubts))
    return msgspec.json.decode(msgspec.json.encode(flagged), type=Round)


def test_a_flag_says_what_to_do() -> None:
    others = doubt("other work", 0.49)
    found = cell_figures.validity([made(others), made(), made()], 3)
    assert (found.verdict, found.doubts) == ("FLAGGED", [others])
    assert found.reasons == [
        f"1 of 3 rounds: {others.text} (end what else computes here, then measure again)",
    ]
    assert cell_figures.validity([made()] * 3, 3) == Validity()
    short = cell_figures.validity([made()] * 3, 4)
    assert short.reasons == ["3 of 4 rounds are measured (the same bench measures the rest)"]


def test_a_flag_for_what_may_be_the_round_s_own_doing_says_what_to_do_too() -> None:
    start = replace(conditions.read(), load_average=0.1, clock_mhz=3000.0, throttle_events=1, busy_s=None)
    before = replace(start, quota_throttled_s=0.5)
    seen = {"load_average": 900.0, "clock_mhz": 2000.0, "throttle_events": 3, "quota_throttled_s": 0.9}
    said = conditions.doubts(before, replace(before, monotonic_s=before.monotonic_s + 10, **seen))
    assert [one.kind for one in said] == ["throttled", "quota", "load", "clock"]
    for slowed_by in ([POWER_CAP], ["heat, by the driver"]):
        hot = GpuConditions(1500, slowed_by, 1)
        said += gpu_conditions.doubts(GpuConditions(1700, [], 1), hot)
    assert [one.kind for one in said[4:]] == ["gpu power cap", "gpu clock", "gpu slowed", "gpu clock"]
    reasons = cell_figures.validity([made(*dict.fromkeys(said))], 1).reasons
    assert len(reasons) == 7
    assert all(one.endswith(", then measure again)") for one in reasons), reasons


def test_how_a_disturbed_round_drifted_and_spread_is_no_other_reason() -> None:
    said = doubt("other work", 0.49)
    spoilt = {"validity": Validity.of(said), "disturbances": [Disturbance.of(9.8, said)]}
    unsteady = {"drift": -0.3, "spread": 0.2}
    plain = run_folders.result(run_folders.cell(), [5.0, 5.01, 5.02]).rounds
    rounds = [msgspec.structs.replace(one, stats=one.stats | unsteady) for one in plain]
    assert len(cell_figures.validity(rounds, 3).reasons) == 2
    disturbed = [msgspec.structs.replace(one, **spoilt) for one in rounds]
    [reason] = cell_figures.validity(disturbed, 3).reasons
    assert reason.startswith(f"3 of 3 rounds: {said.text} (")


def test_an_accuracy_below_zero_is_judged_like_any_other() -> None:
    rounds = run_folders.result(run_folders.cell("accuracy"), [-1.0]).rounds
    assert cell_figures.validity(rounds, 1) == Validity()


def test_a_round_that_an_older_version_flagged_stays_flagged() -> None:
    older = Validity("FLAGGED", ["the second half is +3.1% from the first"])
    found = cell_figures.validity([msgspec.structs.replace(made(), validity=older), made(), made()], 3)
    assert (found.verdict, found.reasons) == (
        "FLAGGED", ["1 of 3 rounds: the second half is +3.1% from the first"],
    )  # fmt: skip
