"""Who is compared with whom, who is faster, and what is never ranked."""

from __future__ import annotations

import json
from dataclasses import astuple
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells import matrix
from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS, TIMED
from bench.run.results import CellResult, Round
from bench.statistics import paired
from bench.statistics.validity import Validity
from bench.verdicts import comparisons
from bench.verdicts.comparisons import NOISE_FLOOR, Comparison

SHIPPED = [
    ("torch", "torch", "eager"),
    ("tf", "tf", "graph"),
    ("torch", "onnxruntime", "ir"),
    ("tf", "onnxruntime", "ir"),
    ("torch", "openvino", "ir"),
    ("tf", "openvino", "ir"),
]
COMPILED = [("torch", "torch", "compiled"), ("tf", "tf", "compiled")]


def cell(
    arm: tuple[str, str, str] = SHIPPED[0],
    values: Any = (),
    passes: Any = None,
    *,
    status: str = "ok",
    validity: Validity | None = None,
    **axes: Any,
) -> CellResult:
    """Return a measured cell with a round of each value, in passes p1, p2 and so on."""
    rest = {"precision": "fp32", "device": "cpu", "batch": 1, "threads": 2, "allocator": "glibc"}
    point = Cell(*arm, **{**rest, "scenario": "latency", **axes})
    names = [f"p{number}" for number in range(1, len(values) + 1)] if passes is None else passes
    rounds = [
        Round({}, 1, 1.0, "", number=number, pass_=name, value=value)
        for number, (name, value) in enumerate(zip(names, values, strict=True), 1)
    ]
    return CellResult(
        id=point.id, status=status, reason=None if status == "ok" else "it broke", axes=point, hash="",
        artifact_sha256=None, split_sha256="", rounds=rounds, validity=validity or Validity(), command="",
    )  # fmt: skip


def noisy(scale: float, n: int = 7, seed: int = 0, sigma: float = 0.003) -> list[float]:
    return list(scale * np.exp(sigma * np.random.default_rng(seed).standard_normal(n)))


def arms(found: list[Comparison], name: str) -> list[tuple[str, str]]:
    """Return (a, b) of a set's comparisons, named by twin, runtime and mode."""
    short = [
        ("-".join(one.a.split("-")[:3]), "-".join(one.b.split("-")[:3])) for one in found if one.set == name
    ]
    return sorted(short)


def only(*cells: CellResult, **kwargs: Any) -> Comparison:
    (found,) = comparisons.compare_lanes(cells, **kwargs)
    return found


def test_all_members_of_a_set_are_compared_once_with_the_commoner_one_as_b():
    cells = [cell(arm, noisy(10, seed=seed)) for seed, arm in enumerate(SHIPPED + COMPILED)]
    found = comparisons.compare_lanes(cells)
    order = ["torch-torch-eager", "tf-tf-graph", "torch-onnxruntime-ir", "tf-onnxruntime-ir",
             "torch-openvino-ir", "tf-openvino-ir"]  # fmt: skip
    assert arms(found, "as_shipped") == sorted((a, b) for b, a in combinations(order, 2))
    fast = ["torch-torch-compiled", "tf-tf-compiled", "torch-openvino-ir", "tf-openvino-ir"]
    twice = ("tf-openvino-ir", "torch-openvino-ir")
    expected = {(a, b) for b, a in combinations(fast, 2)} - {twice}
    assert arms(found, "compiled") == sorted(expected)
    own = [
        (f"{twin}-{twin}-compiled", f"{twin}-{twin}-{usual}")
        for twin, usual in (("tf", "graph"), ("torch", "eager"))
    ]
    assert arms(found, "modes") == own
    assert len(found) == 15 + 5 + 2


def test_the_order_of_the_cells_does_not_matter():
    cells = [cell(arm, noisy(10, seed=seed)) for seed, arm in enumerate(SHIPPED)]

    def known(found: list[Comparison]) -> set[str]:
        return {json.dumps(one, sort_keys=True) for one in msgspec.to_builtins(found)}

    assert known(comparisons.compare_lanes(cells)) == known(comparisons.compare_lanes(cells[::-1]))


@pytest.mark.parametrize(
    "other",
    [
        {"precision": "bf16"}, {"device": "cuda"}, {"batch": 8}, {"threads": 1}, {"allocator": "tuned"},
        {"scenario": "throughput"},
    ],
)  # fmt: skip
def test_cells_of_different_lanes_are_not_compared(other: dict[str, Any]):
    assert comparisons.compare_lanes([cell(SHIPPED[0], noisy(1)), cell(SHIPPED[1], noisy(2), **other)]) == []


def test_what_is_compiled_ahead_is_compared_with_the_compiled_and_with_its_runtime_s_usual_mode():
    torch = [("torch", "torch", mode) for mode in ("eager", "contiguous", "compiled", "aot")]
    kinds = [*torch, ("tf", "tf", "graph"), ("torch", "openvino", "ir")]
    found = comparisons.compare_lanes([cell(kind, noisy(10, seed=n)) for n, kind in enumerate(kinds)])
    aot, compiled, ir = "torch-torch-aot", "torch-torch-compiled", "torch-openvino-ir"
    assert arms(found, "compiled") == [(ir, aot), (ir, compiled), (compiled, aot)]
    further = [aot, compiled, "torch-torch-contiguous"]
    assert arms(found, "modes") == [(mode, "torch-torch-eager") for mode in further]


def test_neither_accuracy_nor_a_mode_of_no_set_is_compared():
    accuracy = [cell(arm, [0.5], scenario="accuracy") for arm in SHIPPED[:2]]
    assert (
        comparisons.compare_lanes(
            [*accuracy, cell(("tf", "tf", "eager"), noisy(1)), cell(SHIPPED[0], noisy(1))]
        )
        == []
    )


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("latency", "faster"),
        ("pipeline", "faster"),
        ("throughput", "slower"),
        ("train", "slower"),
        ("data", "slower"),
    ],
)
def test_half_the_time_is_faster_and_half_the_rate_is_slower(scenario: str, expected: str):
    a, b = (
        cell(SHIPPED[4], noisy(5), scenario=scenario),
        cell(SHIPPED[0], noisy(10, seed=1), scenario=scenario),
    )
    found = only(a, b)
    assert (found.a, found.b, found.verdict) == (a.id, b.id, expected)
    assert found.ratio == pytest.approx(0.5, rel=0.01)
    assert found.speedup == pytest.approx(2.0 if expected == "faster" else 0.5, rel=0.01)
    assert found.speedup_interval is not None
    assert found.speedup_interval[0] < found.speedup < found.speedup_interval[1]
    assert found.lane == f"strict-fp32-cpu-b1-t2-glibc-{scenario}"


def test_which_twin_trains_faster_is_a_verdict_of_the_demos_matrix_like_any_other():
    demo = matrix.load("demo", cores=2).cells
    steps = {one.twin: one for one in demo if one.scenario == "train"}
    rates = {"torch": noisy(7.5), "tf": noisy(5.0, seed=1)}
    kinds = [astuple(steps[twin])[:3] for twin in rates]
    made = [
        cell(kind, values, scenario="train", batch=8, allocator="tuned")  # type: ignore[arg-type]
        for kind, values in zip(kinds, rates.values(), strict=True)
    ]
    assert [one.axes for one in made] == [*steps.values()]
    found = comparisons.compare_lanes([*made, *(cell(arm, noisy(10)) for arm in SHIPPED)])
    [trains] = [one for one in found if one.scenario == "train"]
    assert (trains.set, trains.a, trains.b) == ("as_shipped", steps["tf"].id, steps["torch"].id)
    assert trains.verdict == "slower"
    assert trains.speedup == pytest.approx(5.0 / 7.5, rel=0.01)
    family = [one for one in found if one.set != NOISE_FLOOR]
    assert [one.p_holm for one in family] == paired.holm([one.p for one in family])


def test_a_comparison_has_the_figures_of_the_paired_rounds():
    a, b = noisy(5), noisy(10, seed=1)
    found, expected = only(cell(SHIPPED[4], a), cell(SHIPPED[0], b)), paired.paired_ratio(a, b)
    assert (found.n, found.ratio, found.p, found.p_holm) == (7, expected.ratio, expected.p, expected.p)
    assert (found.interval, found.method) == ((expected.low, expected.high), "t")
    assert found.p_equivalence == paired.equivalence(a, b)


def test_within_the_margin_is_equivalent_although_a_difference_is_certain():
    base = noisy(10)
    found = only(cell(SHIPPED[4], [1.005 * one for one in base]), cell(SHIPPED[0], base))
    assert found.p_holm is not None
    assert found.p_holm < 0.05
    assert found.verdict == "equivalent"


def test_too_wide_an_interval_is_inconclusive():
    found = only(cell(SHIPPED[4], noisy(10, sigma=0.1)), cell(SHIPPED[0], noisy(10, seed=1, sigma=0.1)))
    assert found.verdict == "inconclusive"


def test_holm_goes_over_the_whole_matrix_but_not_over_the_noise_floor():
    cells = [
        cell(arm, noisy(10, seed=seed + 10 * threads, sigma=0.05), threads=threads)
        for seed, arm in enumerate(SHIPPED[:3])
        for threads in (1, 2)
    ]
    again = cell(SHIPPED[0], noisy(10, seed=99), replica=1)
    found = comparisons.compare_lanes([*cells, again])
    family = [one for one in found if one.set != NOISE_FLOOR]
    assert len(family) == 6
    assert [one.p_holm for one in family] == paired.holm([one.p for one in family])
    (floor,) = [one for one in found if one.set == NOISE_FLOOR]
    assert (floor.a, floor.b, floor.p_holm) == (again.id, again.id.removesuffix("-again"), None)
    assert floor.p is not None
    assert found[-1] is floor


def test_a_difference_that_one_test_of_many_would_show_by_chance_is_inconclusive():
    b = noisy(10)
    a = [one * np.exp(0.05 + 0.04 * z) for one, z in zip(b, (-1.5, -1, -0.5, 0, 0.5, 1, 1.5), strict=True)]
    pair = [cell(SHIPPED[4], a), cell(SHIPPED[0], b)]
    alone = only(*pair)
    assert alone.p is not None
    assert 0.01 < alone.p < 0.05, "the figures are chosen so"
    assert alone.verdict == "slower"
    others = [cell(arm, noisy(10, seed=seed, sigma=0.03), threads=1) for seed, arm in enumerate(SHIPPED)]
    among = next(one for one in comparisons.compare_lanes([*pair, *others]) if one.a == alone.a)
    assert (among.p, among.verdict) == (alone.p, "inconclusive")


def test_rounds_are_paired_by_their_pass():
    a = cell(SHIPPED[4], [1.0, 99.0, 2.0, 4.0], ["p1", "p2", "p3", "p4"])
    b = cell(SHIPPED[0], [8.0, 2.0, 4.0, 77.0], ["p4", "p1", "p3", "p9"])
    found = only(a, b)
    assert (found.n, found.ratio) == (3, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (cell(SHIPPED[4], [1.0, 2.0], ["p1", "p2"]), cell(SHIPPED[0], [1.0, 2.0], ["p2", "p3"]),
         "measured in different passes; 2 and 2 rounds share 1, expected at least 2"),
        (cell(SHIPPED[4], [1.0], ["p1"]), cell(SHIPPED[0], [1.0], ["p1"]),
         "too few rounds; 1 and 1 rounds share 1, expected at least 2"),
        (cell(SHIPPED[4], [1.0, 2.0], ["", ""]), cell(SHIPPED[0], [1.0, 2.0], ["", ""]),
         "measured in different passes; 2 and 2 rounds share 0, expected at least 2"),
        (cell(SHIPPED[4], noisy(1), status="oom"), cell(SHIPPED[0], noisy(1)),
         "torch-openvino-ir-fp32-cpu-b1-t2-glibc-latency is oom: it broke"),
        (cell(SHIPPED[4], noisy(1)),
         cell(SHIPPED[0], noisy(1), validity=Validity("INVALID", ["4 of 7", "x"])),
         "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency is INVALID: 4 of 7; x"),
    ],
)  # fmt: skip
def test_what_cannot_be_ranked_has_no_verdict_but_a_reason(a: CellResult, b: CellResult, why: str):
    found = only(a, b)
    assert (found.verdict, found.reason) == (None, why)
    figures = (found.ratio, found.interval, found.speedup, found.p, found.p_holm, found.p_equivalence)
    assert set(figures) == {None}


def test_what_is_not_ranked_does_not_cost_the_others_anything():
    good = [cell(SHIPPED[4], noisy(5)), cell(SHIPPED[0], noisy(10, seed=1))]
    alone = only(*good)
    with_broken = comparisons.compare_lanes([*good, cell(SHIPPED[1], noisy(1), status="timeout")])
    assert next(one for one in with_broken if one.verdict) == alone
    assert comparisons.counts(with_broken) == {
        "faster": 1, "slower": 0, "equivalent": 0, "inconclusive": 0, "null": 2,
    }  # fmt: skip


def test_a_flagged_cell_is_ranked_with_its_doubts():
    flagged = cell(SHIPPED[0], noisy(10, seed=1), validity=Validity("FLAGGED", ["1 of 7 rounds: why"]))
    found = only(cell(SHIPPED[4], noisy(5)), flagged)
    assert (found.verdict, found.reason) == ("faster", f"{flagged.id}: 1 of 7 rounds: why")


@pytest.mark.parametrize("first_look", [None, 4])
def test_p_interval_and_verdict_of_a_row_agree(first_look: int | None):
    corrected = 0
    for seed in range(12):
        lane = [
            msgspec.structs.replace(
                cell(arm, noisy(1 + 0.03 * place, 7, 10 * seed + place, 0.03)), first_look=first_look
            )
            for place, arm in enumerate(SHIPPED)
        ]
        for one in comparisons.compare_lanes(lane):
            low, high = one.speedup_interval or (0.0, 0.0)
            assert (one.p is not None and one.p < 0.05) == (not low <= 1 <= high)
            assert (one.p_holm or 0.0) >= (one.p or 0.0)
            if one.verdict in {"faster", "slower"}:
                assert not low <= 1 <= high
                assert (one.p_holm or 1.0) <= 0.05
            elif one.verdict == "inconclusive" and not low <= 1 <= high:
                assert (one.p_holm or 0.0) > 0.05, "Holm alone leaves it open"
                corrected += 1
    assert corrected > 0


def test_the_stopping_rule_judges_only_what_more_rounds_can_decide():
    good = [
        cell(SHIPPED[4], noisy(5)),
        cell(SHIPPED[0], noisy(10, seed=1)),
        cell(SHIPPED[0], noisy(10), replica=1),
    ]
    spread = cell(SHIPPED[2], noisy(1), validity=Validity("INVALID"))
    spread = msgspec.structs.replace(
        spread, rounds=[msgspec.structs.replace(one, validity=Validity("INVALID")) for one in spread.rounds]
    )
    bad = [cell(SHIPPED[1], noisy(1), status="oom"), spread]
    found = comparisons.stopping_pairs([*good, *bad], 14)
    assert len(comparisons.stopping_pairs([*good, *bad], 15)) == 4, "7 bad rounds of 15 are less than half"
    assert len(found) == 2, "the pair and the noise floor"
    assert all(len(one.a_values) == len(one.b_values) == 7 for one in found)
    [alone] = comparisons.stopping_pairs([cell(SHIPPED[4], [1.0]), cell(SHIPPED[0], [])], 10)
    assert (alone.a_values, alone.b_values) == ((), ())
    assert comparisons.family([*good, *bad]) == 6, "what is not measured is planned all the same"


def test_the_stopping_rule_widens_what_is_reported():
    pair = [cell(SHIPPED[4], noisy(5, n=20)), cell(SHIPPED[0], noisy(10, n=20, seed=1))]
    fixed, stopped = only(*pair), only(pair[0], msgspec.structs.replace(pair[1], first_look=10))
    assert fixed.interval is not None
    assert stopped.interval is not None
    assert stopped.interval[0] < fixed.interval[0] < fixed.interval[1] < stopped.interval[1]
    assert stopped.p_equivalence == paired.equivalence(noisy(5, n=20), noisy(10, n=20, seed=1), first_look=10)


def test_a_look_after_one_round_costs_nobody_a_verdict(tmp_path: Path):
    """Older benches noted a first look of one round."""
    looked = [
        msgspec.structs.replace(cell(arm, noisy(10 * (seed + 1), seed=seed)), first_look=1)
        for seed, arm in enumerate(SHIPPED[:2])
    ]
    found = comparisons.compare_lanes(
        [*looked, cell(SHIPPED[2], noisy(5)), cell(SHIPPED[3], noisy(20, seed=9))]
    )
    assert all(one.p_holm is not None and 0 <= one.p_holm < 1 for one in found)
    comparisons.write(tmp_path, found)
    assert comparisons.read(tmp_path) == tuple(found)


@given(st.integers(0, 1000), st.sampled_from(["latency", "throughput"]), st.floats(0.8, 1.25))
def test_a_verdict_agrees_with_its_figures_and_crosses_as_json(seed: int, scenario: str, ratio: float):
    a, b = noisy(10 * ratio, seed=seed, sigma=0.01), noisy(10, seed=seed + 5000, sigma=0.01)
    found = only(cell(SHIPPED[4], a, scenario=scenario), cell(SHIPPED[0], b, scenario=scenario))
    low, high = found.speedup_interval or (0, 0)
    assert found.verdict in {"faster", "slower", "equivalent", "inconclusive"}
    assert (found.verdict != "faster") or low > 1
    assert (found.verdict != "slower") or high < 1
    assert (found.verdict != "inconclusive") or low <= 1 <= high
    assert (found.verdict != "equivalent") or (1 / 1.02 < (found.speedup or 0) < 1.02)
    (row,) = msgspec.to_builtins([found])
    assert json.loads(json.dumps(row)) == {
        **row,
        "interval": list(row["interval"]),
        "speedup_interval": [low, high],
    }


@given(
    st.floats(min_value=0.01, max_value=100),
    st.floats(min_value=1.0, max_value=3),
    st.sampled_from(sorted(TIMED)),
)
def test_a_speed_up_lies_within_its_interval(ratio: float, reach: float, scenario: str) -> None:
    found = paired.Ratio(7, ratio, ratio / reach, ratio * reach, 0.5, "t")
    value, low, high = comparisons._speedup(found, scenario)
    assert low <= value * (1 + 1e-12)
    assert value <= high * (1 + 1e-12)
    assert value == pytest.approx(1 / ratio if SCENARIOS[scenario].less_is_faster else ratio)
