"""Which twin is more accurate, over several seeds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import seeded
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.rounds import text
from bench.statistics.paired import holm
from bench.verdicts import ap_differences, over_seeds
from bench.verdicts.ap_differences import OTHER, ApDifference
from pose.files import read_json, write_json

DEMO = seeded.aps([0.323, 0.318, 0.323], [0.318, 0.323, 0.314])
"""Three trainings of the demo."""


def found(run: Path) -> ApDifference:
    """Return the twins' difference over seeds, as a bench without an accuracy cell writes it."""
    (one,) = ap_differences.renew(run, [])
    return one


def test_the_demos_three_seeds_do_not_tell_the_twins_apart(tmp_path: Path) -> None:
    one = found(seeded.write(tmp_path, DEMO))
    a, b = ([ended[twin] for ended in DEMO.values()] for twin in ("tf", "torch"))
    test = stats.ttest_rel(a, b)
    assert (one.question, one.a, one.b, one.seeds) == ("seeds", "tf", "torch", (0, 1, 2))
    assert one.difference == pytest.approx(0.003)
    assert one.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert one.p == one.p_holm == pytest.approx(test.pvalue)
    assert (one.margin, one.verdict) == (OTHER, "inconclusive")
    assert one.seeds_needed == 7


@pytest.mark.parametrize(
    ("ahead", "verdict", "needed"),
    [
        ([0.021, 0.020, 0.022], "higher", None),
        ([-0.021, -0.020, -0.022], "lower", None),
        ([0.001, -0.001, 0.0], "equal", None),
        ([0.0, 0.0, 0.0], "equal", None),
        ([0.02, 0.02, 0.02], "higher", None),
        ([0.03, -0.02, 0.01], "inconclusive", 58),
        ([0.09, -0.08, 0.005], "inconclusive", None),
    ],
)
def test_a_verdict_over_seeds_follows_the_rule_of_every_ap(
    tmp_path: Path, ahead: list[float], verdict: str, needed: int | None
) -> None:
    base = [0.31, 0.33, 0.32]
    tf = [round(ap + more, 6) for ap, more in zip(base, ahead, strict=True)]
    one = found(seeded.write(tmp_path, seeded.aps(tf, base)))
    assert (one.verdict, one.seeds_needed) == (verdict, needed)


def test_a_run_of_one_seed_has_no_such_row(tmp_path: Path) -> None:
    assert over_seeds.ended_at(seeded.write(tmp_path, seeded.aps([0.3], [0.31]))) == {}
    assert ap_differences.renew(tmp_path, []) == []


def test_only_seeds_that_both_twins_have_ended_count(tmp_path: Path) -> None:
    seeded.write(tmp_path, seeded.aps([0.30, 0.31], [0.31, 0.30]) | {2: {"tf": 0.33}, 3: {"torch": None}})
    assert [*over_seeds.ended_at(tmp_path)] == [0, 1]
    assert found(tmp_path).seeds == (0, 1)
    (tmp_path / "seeds" / "1" / "train" / "torch" / "summary.json").unlink()
    alone = found(tmp_path)
    assert (alone.seeds, alone.verdict, alone.interval) == ((0,), None, None)
    assert alone.reason == "both twins have ended seed 0 alone; expected at least 2 seeds"


def test_a_further_seed_changes_what_is_stored(tmp_path: Path) -> None:
    first = found(seeded.write(tmp_path, DEMO))
    assert ap_differences.differences(tmp_path) == [first]
    stored = read_json(tmp_path / "bench" / "accuracies.json", "differences")
    assert stored["seeds"]["1"] == {"tf": 0.318, "torch": 0.323}
    more = found(seeded.write(tmp_path, DEMO | {3: {"tf": 0.32, "torch": 0.32}}))
    assert more.seeds == (0, 1, 2, 3)
    assert ap_differences.differences(tmp_path) == [more]


def test_a_seed_that_was_trained_after_the_last_bench_counts_without_another_one(tmp_path: Path) -> None:
    first = found(seeded.write(tmp_path, DEMO))
    path = tmp_path / "bench" / "accuracies.json"
    stored = read_json(path, "differences")
    other = {**stored["differences"][0], "question": "twins", "seeds": [], "p": 0.03, "p_holm": 0.06}
    write_json(path, stored | {"differences": [other, *stored["differences"]]})
    seeded.write(tmp_path, DEMO | {3: {"tf": 0.38, "torch": 0.32}})
    twins, over = ap_differences.differences(tmp_path)
    assert (first.seeds, over.seeds) == ((0, 1, 2), (0, 1, 2, 3))
    assert over.difference == pytest.approx((3 * 0.003 + 0.06) / 4, abs=1e-4)
    assert [twins.p_holm, over.p_holm] == holm([0.03, over.p]), "one family"
    assert found(tmp_path) == msgspec.structs.replace(over, p_holm=over.p), "as the next bench has it"
    path.unlink()
    assert ap_differences.differences(tmp_path) == [found(tmp_path)], "and before any bench"


def test_a_bench_prints_how_many_seeds_it_is_of_and_how_many_would_decide(tmp_path: Path) -> None:
    assert text.accuracies([found(seeded.write(tmp_path, DEMO))]) == [
        "tf against torch over 3 seeds, AP: +0.0030 [-0.0149, +0.0209] inconclusive "
        "(about 7 seeds would decide)"
    ]


def test_a_difference_of_two_trainings_is_said_to_be_of_one_seed_each_and_that_of_one_file_is_not() -> None:
    facts = {
        "question": "twins",
        "a": "tf-tf",
        "b": "torch-torch",
        "difference": 0.0,
        "verdict": "inconclusive",
    }
    trained = ApDifference(**facts, interval=(-0.02, 0.02), margin=OTHER)  # type: ignore[arg-type]
    same = msgspec.structs.replace(trained, margin=ap_differences.SAME_WEIGHTS)
    said = ", AP: +0.0000 [-0.0200, +0.0200] inconclusive"
    assert text.accuracies([trained]) == [f"tf-tf against torch-torch, one seed each{said}"]
    assert text.accuracies([same]) == [f"tf-tf against torch-torch{said}"]


@given(st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=8))
def test_one_twin_against_the_other_is_the_inverse(ahead: list[float]) -> None:
    base = [0.3] * len(ahead)
    tf = [ap + more for ap, more in zip(base, ahead, strict=True)]
    one, other = over_seeds.judge(tf, base, OTHER), over_seeds.judge(base, tf, OTHER)
    assert one.difference == pytest.approx(-other.difference)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert (one.p, one.needed) == (pytest.approx(other.p), other.needed)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_interval_covers_and_equal_twins_are_rarely_told_apart(count: int) -> None:
    """1,000 made-up runs (standard error 0.7 points): a seed moves both twins, and each a little alone."""
    draws, covered, apart = np.random.default_rng(count), 0, 0
    for _ in range(1000):
        shared, own = draws.normal(0.32, 0.01, count), draws.normal(0, 0.005, (2, count))
        one = over_seeds.judge(shared + own[0], shared + own[1], OTHER)
        covered += one.interval[0] <= 0 <= one.interval[1]
        apart += ap_differences.verdict(one.interval, OTHER, one.p) in {"higher", "lower"}
    assert 0.93 <= covered / 1000 <= 0.97
    assert apart / 1000 <= 0.05
