"""A round that stayed disturbed does not count beside enough undisturbed ones, whatever it measured."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.cells.protocol import Protocol
from bench.doubts import doubt
from bench.machine.disturbance import Disturbance
from bench.run.results import ENOUGH, CellResult, Round
from bench.statistics.validity import Validity
from bench.verdicts import cell_figures, comparisons

PROTOCOL = Protocol.model_validate({"profile": "quick"})
BUSY = doubt("other work", 0.5)


def cell(runtime: str, values: list[float], disturbed: set[int]) -> CellResult:
    """Return a cell of twin torch with a round of each value, those of such places disturbed."""
    mode = "eager" if runtime == "torch" else "ir"
    point = Cell("torch", runtime, mode, "fp32", "cpu", 1, 2, "glibc", "latency")
    rounds = [Round({}, 1, 1.0, "", number=n, pass_=f"p{n}", value=v) for n, v in enumerate(values)]
    for place in disturbed:
        rounds[place] = msgspec.structs.replace(
            rounds[place], disturbances=[Disturbance.of(9.0, BUSY)], validity=Validity.of(BUSY)
        )
    stats = cell_figures.figures(point, PROTOCOL, rounds, [])
    return CellResult(
        id=point.id, status="ok", reason=None, axes=point, hash="", artifact_sha256=None, split_sha256="",
        rounds=rounds, stats=stats, validity=cell_figures.validity(rounds, 4), command="",
    )  # fmt: skip


def test_beside_enough_undisturbed_rounds_the_others_move_nothing():
    quick, slow = [1.0, 1.01, 0.99, 30.0, 1.0, 1.02], [2.0, 2.02, 2.0, 2.0, 2.01, 50.0]
    a, b = cell("openvino", quick, {3}), cell("torch", slow, {5})
    [pair] = comparisons.pairs([a, b])
    assert (pair.shared, len(pair.a_values), pair.disturbed) == (6, ENOUGH, 0)
    assert max(pair.a_values) < 1.1
    assert max(pair.b_values) < 2.1
    assert a.stats["value"] == pytest.approx(1.004, rel=1e-3), (
        "one figure: what is printed is what is compared"
    )
    assert a.validity.verdict == "VALID"
    [found] = comparisons.compare_lanes([a, b])
    assert (found.verdict, found.n, found.reason) == ("faster", ENOUGH, None)


def test_where_too_few_are_undisturbed_all_count_and_are_doubted():
    a, b = cell("openvino", [1.0, 1.0, 1.0, 9.0], {3}), cell("torch", [2.0] * 4, set())
    [pair] = comparisons.pairs([a, b])
    assert (len(pair.a_values), pair.disturbed) == (4, 1)
    assert a.validity.verdict == "FLAGGED"
    [found] = comparisons.compare_lanes([a, b])
    assert "other work took 50%" in (found.reason or "")


def test_passes_that_only_together_are_too_few_are_doubted_though_neither_cell_is():
    a, b = cell("openvino", [1.0] * 6, {0, 1}), cell("torch", [2.0] * 6, {2, 3})
    assert (a.validity.verdict, b.validity.verdict) == ("VALID", "VALID")
    [pair] = comparisons.pairs([a, b])
    assert pair.doubts == "others disturbed 4 of the 6 passes of the two"


@given(
    st.lists(st.tuples(st.floats(0.5, 50), st.floats(0.5, 50)), min_size=1, max_size=10),
    st.sets(st.integers(0, 9)),
    st.sets(st.integers(0, 9)),
)
def test_which_passes_count_is_told_by_their_conditions_alone(
    values: list[tuple[float, float]], of_a: set[int], of_b: set[int]
):
    places = range(len(values))
    quick, slow = ([one[arm] for one in values] for arm in (0, 1))
    a, b = cell("openvino", quick, of_a & {*places}), cell("torch", slow, of_b & {*places})
    [pair] = comparisons.pairs([a, b])
    quiet = [place for place in places if place not in of_a | of_b]
    kept = quiet if len(quiet) >= ENOUGH else [*places]
    assert pair.a_values == tuple(quick[place] for place in kept)
    assert pair.b_values == tuple(slow[place] for place in kept)
    assert (pair.shared, pair.disturbed) == (len(values), len(kept) - len({*kept} & {*quiet}))
