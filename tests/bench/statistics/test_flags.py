"""A flag means something: what could move a figure out of its interval is flagged, the rest is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import run_folders

from bench.machine import conditions, gpu_conditions
from bench.machine.disturbance import Disturbance
from bench.machine.gpu_conditions import POWER_CAP, GpuConditions
from bench.statistics.samples import t_interval
from bench.statistics.validity import Steadiness, Validity, cell_validity, steadiness, validity
from bench.verdicts import cell_figures

CELLS = 300


def judged(rounds: Sequence[np.ndarray]) -> Validity:
    """Return the verdict on a cell of rounds with these durations (n_r,)."""
    low, high = t_interval([math.log(np.median(one)) for one in rounds])
    half_width = math.expm1((high - low) / 2)
    return cell_validity([validity(one) for one in rounds], [steadiness(one) for one in rounds], half_width)


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
    assert said.endswith("a longer warm-up (warmup_s of the matrix) lets it settle")


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
    assert "+5.0% from first ones, so the figure is known to 2.5%, its interval 1.0%;" in said
    assert flags([Steadiness(0.019, 0.03)] * 3, 0.0) == [], "within half of the margin of equivalence"
    assert len(flags([Steadiness(0.05, 0.03)], None)) == 1, "one round has no interval that could know it"


def test_a_spread_flags_where_at_least_half_of_the_rounds_have_it() -> None:
    wide = Steadiness(0.0, 0.14)
    assert flags([STEADY, STEADY, wide], 0.01) == []
    [said] = flags([STEADY, wide, Steadiness(0.0, 0.12)], 0.01)
    assert said.startswith("2 of 3 rounds: IQR is up to 14.0% of the median; 'twinpose doctor' looks")
    wild = Validity("INVALID", ["IQR is 30.0% of the median"])
    steady = [Steadiness(0.0, 0.3), wide, STEADY]
    [once] = cell_validity([wild, Validity(), Validity()], steady, 0.01).reasons
    assert once.startswith("2 of 3 rounds: IQR is up to 30.0% of the median; "), "said once"


def test_a_flag_for_what_others_did_says_what_to_do() -> None:
    made = run_folders.result(run_folders.cell(), [5.0, 5.01, 5.02]).rounds
    said = "other work took 49% of the processors' time"
    spoilt = msgspec.structs.replace(
        made[0],
        validity=Validity("FLAGGED", [said]),
        disturbances=[Disturbance("other work", 9.8, said)],
    )
    found = cell_figures.validity([spoilt, *made[1:]], 3)
    assert found.verdict == "FLAGGED"
    assert found.reasons == [
        f"1 of 3 rounds: {said} (end what else computes here, then measure again)",
    ]
    assert cell_figures.validity(made, 3) == Validity()


def test_a_flag_for_what_may_be_the_round_s_own_doing_says_what_to_do_too() -> None:
    start = replace(conditions.read(), load_average=0.1, clock_mhz=3000.0, throttle_events=1, busy_s=None)
    before = replace(start, quota_throttled_s=0.5)
    seen = {"load_average": 900.0, "clock_mhz": 2000.0, "throttle_events": 3, "quota_throttled_s": 0.9}
    said = conditions.doubts(before, replace(before, monotonic_s=before.monotonic_s + 10, **seen))
    assert len(said) == 4
    for slowed_by in ([POWER_CAP], ["heat, by the driver"]):
        hot = GpuConditions(1500, slowed_by, 1)
        said += gpu_conditions.doubts(GpuConditions(1700, [], 1), hot)
    assert len(set(said)) == 4 + 3
    [made] = run_folders.result(run_folders.cell(), [5.0]).rounds
    flagged = msgspec.structs.replace(made, validity=Validity("FLAGGED", [*dict.fromkeys(said)]))
    reasons = cell_figures.validity([flagged], 1).reasons
    assert all(one.endswith(", then measure again)") for one in reasons), reasons


def test_how_a_disturbed_round_drifted_and_spread_is_no_other_reason() -> None:
    said = "other work took 49% of the processors' time"
    spoilt = {"validity": Validity("FLAGGED", [said]), "disturbances": [Disturbance("other work", 9.8, said)]}
    unsteady = {"drift": -0.3, "spread": 0.2}
    plain = run_folders.result(run_folders.cell(), [5.0, 5.01, 5.02]).rounds
    made = [msgspec.structs.replace(one, stats=one.stats | unsteady) for one in plain]
    assert len(cell_figures.validity(made, 3).reasons) == 2
    disturbed = [msgspec.structs.replace(one, **spoilt) for one in made]
    [reason] = cell_figures.validity(disturbed, 3).reasons
    assert reason.startswith(f"3 of 3 rounds: {said}")


def test_an_accuracy_below_zero_is_judged_like_any_other() -> None:
    made = run_folders.result(run_folders.cell("accuracy"), [-1.0]).rounds
    assert cell_figures.validity(made, 1) == Validity()


def test_a_round_that_an_older_version_flagged_stays_flagged() -> None:
    made = run_folders.result(run_folders.cell(), [5.0, 5.01, 5.02]).rounds
    older = Validity("FLAGGED", ["the second half is +3.1% from the first"])
    found = cell_figures.validity([msgspec.structs.replace(made[0], validity=older), *made[1:]], 3)
    assert found == Validity("FLAGGED", ["1 of 3 rounds: the second half is +3.1% from the first"])
