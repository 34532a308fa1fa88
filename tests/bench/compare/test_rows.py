"""Two runs, cell by cell: what regressed, and what is missing."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import run_folders
from compared import ACCURACY, LATENCY, THROUGHPUT, around, found, timed
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.compare import rows as rows_
from bench.compare import sides
from bench.compare import text as text_
from bench.compare.records import NOT_MEASURED
from bench.run import results as results_
from bench.statistics.validity import Validity
from pose.errors import UserError

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize(
    ("cell", "b", "verdict", "status"),
    [
        (LATENCY, 22.0, "slower", "regressed"),
        (LATENCY, 18.0, "faster", "compared"),
        (LATENCY, 20.02, "equivalent", "compared"),
        (THROUGHPUT, 22.0, "faster", "compared"),
        (THROUGHPUT, 18.0, "slower", "regressed"),
        (run_folders.cell("pipeline"), 22.0, "slower", "regressed"),
        (run_folders.cell("train", batch=16), 18.0, "slower", "regressed"),
        (run_folders.cell("data", batch=16), 22.0, "faster", "compared"),
    ],
)
def test_a_verdict_has_the_direction_of_its_scenario(
    tmp_path: Path, cell: Cell, b: float, verdict: str, status: str
) -> None:
    row = timed(tmp_path, cell, around(20.0, 1), around(b, 2))
    assert (row.verdict, row.status) == (verdict, status)
    assert row.interval is not None
    assert row.speedup_interval is not None
    assert row.interval[0] < row.ratio < row.interval[1]
    assert row.speedup_interval[0] < row.speedup < row.speedup_interval[1]
    assert row.ratio == pytest.approx(b / 20.0, rel=0.01)
    faster = row.speedup > 1
    assert faster is (verdict == "faster") or verdict == "equivalent"


def test_an_interval_that_is_wide_is_inconclusive(tmp_path: Path) -> None:
    row = timed(tmp_path, LATENCY, around(20.0, 1, scatter=0.2), around(21.0, 2, scatter=0.2))
    assert (row.verdict, row.status) == ("inconclusive", "compared")


@pytest.mark.parametrize(
    ("fail_over", "status"),
    [(0.0, "regressed"), (0.05, "regressed"), (0.0999, "compared"), (0.2, "compared")],
)
def test_only_what_is_wholly_beyond_the_threshold_has_regressed(
    tmp_path: Path, fail_over: float, status: str
) -> None:
    """B takes 10 % longer, and the interval reaches to either side of it."""
    row = timed(tmp_path, LATENCY, around(20.0, 1), around(22.0, 1), fail_over=fail_over)
    assert row.ratio == pytest.approx(1.1)
    assert (row.verdict, row.status) == ("slower", status)


def test_a_rate_regresses_by_the_time_it_takes(tmp_path: Path) -> None:
    """A tenth of the rate lost is 11 % more time: beyond 10.5 % where nothing scatters."""
    arms = ([100.0, 100.0], [90.0, 90.0])
    assert timed(tmp_path / "1", THROUGHPUT, *arms, fail_over=0.105).status == "regressed"
    assert timed(tmp_path / "2", THROUGHPUT, *arms, fail_over=0.12).status == "compared"


@given(
    a=st.lists(st.floats(1, 100), min_size=1, max_size=8),
    b=st.lists(st.floats(1, 100), min_size=1, max_size=8),
    kind=st.sampled_from(["time", "rate"]),
    thresholds=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_looser_threshold_never_fails_more(
    a: list[float], b: list[float], kind: str, thresholds: tuple[float, float]
) -> None:
    def status(fail_over: float) -> str:
        measure = [sides.Measure("x", kind, "ms", tuple(values)) for values in (a, b)]
        one, other = (
            sides.Side(name, "run", {"x": m}, {}, {}) for name, m in zip("ab", measure, strict=True)
        )
        [row] = rows_.compare_sides(one, other, fail_over=fail_over).rows
        assert row.ratio == pytest.approx(math.exp(np.mean(np.log(b)) - np.mean(np.log(a))))
        if row.status == "regressed":
            assert row.verdict == "slower"
        return row.status

    tight, loose = sorted(thresholds)
    assert not (status(loose) == "regressed" and status(tight) != "regressed")


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"status": "timeout", "reason": "no result after 600 s"}, "timeout: no result after 600 s"),
        ({"status": "unsupported", "reason": None}, "unsupported"),
        (
            {"validity": Validity("INVALID", ["IQR is 31.0% of the median"])},
            "INVALID: IQR is 31.0% of the median",
        ),
        ({"rounds": []}, "no round has a figure"),
    ],
)
def test_what_b_did_not_measure_is_told_with_its_reason(
    tmp_path: Path, patch: dict[str, Any], reason: str
) -> None:
    good, other = run_folders.result(LATENCY, around(20)), run_folders.result(THROUGHPUT, around(20))
    bad = run_folders.result(LATENCY, around(20), certificate_id="c", **patch)
    both = found(tmp_path, [good, other], [bad, other])
    [row] = [row for row in both.rows if row.id == LATENCY.id]
    assert (row.status, row.reason, row.verdict) == ("not measured", reason, None)
    assert both.exit_code() == NOT_MEASURED
    back = found(tmp_path / "back", [bad, other], [good, other])
    [row] = [row for row in back.rows if row.id == LATENCY.id]
    assert (row.status, row.reason) == ("nothing in A", reason)
    assert back.exit_code() == 0


def test_a_cell_that_one_run_lacks_is_named(tmp_path: Path) -> None:
    one, other = run_folders.result(LATENCY, around(20)), run_folders.result(THROUGHPUT, around(20))
    lost = found(tmp_path / "1", [one, other], [one])
    assert [(row.id, row.reason) for row in lost.rows if row.status == "not measured"] == [
        (THROUGHPUT.id, "B has no such cell")
    ]
    assert lost.exit_code() == NOT_MEASURED
    gained = found(tmp_path / "2", [one], [one, other])
    assert (gained.only_in_b, gained.exit_code()) == ([THROUGHPUT.id], 0)


def test_another_a_a_pair_in_b_is_no_gap(tmp_path: Path) -> None:
    one = run_folders.result(LATENCY, around(20))
    of_one, of_other = (
        run_folders.result(replace(cell, replica=1), around(20)) for cell in (LATENCY, THROUGHPUT)
    )
    both = found(tmp_path, [one, of_one], [one, of_other])
    assert [(row.id, row.status, row.exempt) for row in both.rows] == [
        (LATENCY.id, "compared", False),
        (of_one.id, "not measured", True),
    ]
    assert both.exit_code() == 0
    assert found(tmp_path / "1", [one, of_one], [one]).exit_code() == NOT_MEASURED, "B has no pair at all"
    failed = msgspec.structs.replace(of_one, status="failed", reason="it crashed")
    assert found(tmp_path / "2", [one, of_one], [one, failed]).exit_code() == NOT_MEASURED


@pytest.mark.parametrize(
    ("b", "artifact", "verdict", "status"),
    [
        (0.3610, "a" * 64, "equal", "compared"),
        (0.3590, "a" * 64, "equal", "compared"),
        (0.3580, "a" * 64, "lower", "regressed"),
        (0.3620, "a" * 64, "higher", "compared"),
        (0.3510, "b" * 64, "equal", "compared"),
        (0.3400, "b" * 64, "lower", "regressed"),
        (0.0, "a" * 64, "lower", "regressed"),
    ],
)
def test_accuracies_are_compared_as_differences(
    tmp_path: Path, b: float, artifact: str, verdict: str, status: str
) -> None:
    one = run_folders.result(ACCURACY, [0.36])
    other = run_folders.result(ACCURACY, [b], artifact_sha256=artifact)
    [row] = found(tmp_path, [one], [other]).rows
    assert (row.verdict, row.status, row.ratio) == (verdict, status, None)
    assert row.difference == pytest.approx(b - 0.36)
    assert row.reason == ("" if artifact[0] == "a" else f"{rows_.OTHER_WEIGHTS}; ") + rows_.NO_INTERVAL


def test_accuracies_on_other_people_are_not_comparable(tmp_path: Path) -> None:
    one = run_folders.result(ACCURACY, [0.36])
    other = run_folders.result(ACCURACY, [0.1], split_sha256="t" * 64)
    both = found(tmp_path, [one], [other])
    assert (both.rows[0].status, both.rows[0].verdict) == ("not comparable", None)
    assert both.exit_code() == NOT_MEASURED
    assert "splits differ" in text_.text(both)


def test_what_was_timed_without_a_certificate_is_marked(tmp_path: Path) -> None:
    a, b = (
        run_folders.result(LATENCY, around(20), certificate_id=certificate) for certificate in ("c", None)
    )
    both = found(tmp_path, [a], [b])
    said = {
        "A": "its certificate is not in the run: there is no parity.json",
        "B": "timed without a certificate (--uncertified)",
    }
    assert both.rows[0].reason == "; ".join(f"{side}: uncertified: {why}" for side, why in said.items())
    assert f"B: uncertified: {said['B']}" in text_.text(both)


def test_what_is_flagged_is_a_doubt(tmp_path: Path) -> None:
    flagged = Validity("FLAGGED", ["IQR is 12.0% of the median"])
    a, b = (
        run_folders.result(LATENCY, around(20), certificate_id="c", **patch)
        for patch in ({}, {"validity": flagged})
    )
    [row] = found(tmp_path, [a], [b]).rows
    assert row.verdict == "equivalent"
    assert str(row.reason).endswith("; B: IQR is 12.0% of the median")


def comparison(a: Cell, b: Cell, verdict: str | None, name: str = "as_shipped") -> dict[str, Any]:
    named = {"set": name, "lane": a.lane.id, "scenario": a.scenario}
    return {**named, "a": a.id, "b": b.id, "n": 7, "verdict": verdict}


def test_verdicts_that_turned_are_listed_and_reversed_ones_first(tmp_path: Path) -> None:
    torch, tf = LATENCY, run_folders.cell(twin="tf", runtime="tf", mode="graph")
    openvino = run_folders.cell(runtime="openvino", mode="ir")
    cells = [run_folders.result(one, around(20)) for one in (torch, tf, openvino)]
    before = [
        comparison(tf, openvino, "equivalent"), comparison(tf, torch, "faster"),
        comparison(openvino, torch, "faster"), comparison(tf, torch, "slower", "compiled"),
    ]  # fmt: skip
    after = [
        comparison(tf, openvino, "inconclusive"), comparison(tf, torch, "slower"),
        # The same verdict, told from the other cell's side.
        comparison(torch, openvino, "slower"),
    ]  # fmt: skip
    both = found(tmp_path, cells, cells, verdicts=(before, after))
    # Told from the cell whose name comes first.
    assert [(one.set, one.a, one.b, one.reversed) for one in both.turned] == [
        ("as_shipped", "faster", "slower", True),
        ("as_shipped", "equivalent", "inconclusive", False),
        ("compiled", "slower", None, False),
    ]
    assert both.exit_code() == 0
    text = text_.text(both)
    assert f"reversed:\n  {tf.id} against {torch.id} (as_shipped): faster -> slower" in text
    assert "verdicts: 1 reversed, 2 changed" in text


def test_k_selects_cells_and_their_verdicts(tmp_path: Path) -> None:
    cells = [run_folders.result(LATENCY, around(20)), run_folders.result(THROUGHPUT, around(20))]
    turned = comparison(LATENCY, THROUGHPUT, "faster"), comparison(LATENCY, THROUGHPUT, "slower")
    both = found(tmp_path, cells, cells[:1], only="latency", verdicts=([turned[0]], [turned[1]]))
    assert ([row.id for row in both.rows], both.turned, both.exit_code()) == ([LATENCY.id], [], 0)
    with pytest.raises(UserError, match="no cell has 'latncy', did you mean 'latency'"):
        found(tmp_path / "2", cells, cells, only="latncy")


def test_a_golden_run_is_compared_with_its_first_pass(tmp_path: Path) -> None:
    first = Path(shutil.copytree(GOLDEN / "schema_2", tmp_path / "first"))
    for one in results_.cells(first):
        results_.save(first, msgspec.structs.replace(one, rounds=one.rounds[:1]))
    both = rows_.compare_sides(sides.read(first), sides.read(GOLDEN / "schema_2"))
    rows = {row.id.rsplit("-", 1)[1]: row for row in both.rows if row.status == "compared"}
    why = "uncertified: timed without a certificate (--uncertified)"
    uncertified = f"A: {why}; B: {why}"
    assert rows["latency"].reason == f"1 and 3 rounds; an interval needs 2 in each run; {uncertified}"
    assert rows["latency"].ratio == pytest.approx((2.092421 * 2.081165 / 2.093223**2) ** (1 / 3))
    assert rows["accuracy"].verdict == "equal"
    assert both.machine == []


def test_mistakes_name_what_was_expected(tmp_path: Path) -> None:
    run = run_folders.write(tmp_path / "run", [run_folders.result(LATENCY, around(20))])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected a run folder with a bench, or a file"):
        sides.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"'twinpose bench .*empty' makes one"):
        sides.read(tmp_path / "empty")
    with pytest.raises(UserError, match="expected two runs or two benchmark files"):
        rows_.compare_sides(sides.read(run), sides.read(GOLDEN / "benchmarks.json"))
    failed = run_folders.result(LATENCY, [], status="failed", reason="a kernel was not found")
    with pytest.raises(UserError, match=r"nothing that can be compared: .*: failed: a kernel"):
        found(tmp_path, [failed], [run_folders.result(LATENCY, around(20))])
