"""What a runtime or a precision costs in AP, with an interval over images, from what accuracy cells keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import run_folders
from crowds import crowded, found_in, keep

from bench.cells.cell import Cell
from bench.compare import rows, sides
from bench.compare import text as text_
from bench.compare.records import REGRESSED, ComparedRuns
from bench.rounds import text
from bench.run import artifacts
from bench.run import results as results_
from bench.run.results import CellResult
from bench.verdicts import ap_differences
from bench.verdicts.ap_differences import ApDifference
from pose import bootstrap
from pose.errors import UserError
from pose.files import write_arrays

TRUTH = crowded(40, seed=3)
GOOD, BAD, OTHER = (found_in(TRUTH, sigma, seed) for sigma, seed in ((0.02, 1), (0.09, 1), (0.021, 2)))
TORCH = run_folders.cell("accuracy", batch=8)
KERAS = run_folders.cell("accuracy", batch=8, twin="tf", runtime="tf", mode="graph")
IR = run_folders.cell("accuracy", batch=8, runtime="openvino", mode="ir")


def ap(predictions: list[dict[str, Any]]) -> float:
    return bootstrap.ap(bootstrap.match(predictions, TRUTH))


def scored(cell: Cell, predictions: list[dict[str, Any]], **patch: Any) -> CellResult:
    return run_folders.result(cell, [ap(predictions)], stats={"AP": ap(predictions)}, **patch)


@pytest.fixture(autouse=True)
def _artifacts_as_they_were_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every artifact be the one that run_folders' cells name."""
    monkeypatch.setattr(artifacts, "artifact_sha256", lambda path: "a" * 64)


def judged(run: Path, results: list[CellResult]) -> list[ApDifference]:
    """Return the differences as they are found anew."""
    (run / "bench" / "accuracies.json").unlink(missing_ok=True)
    return ap_differences.renew(run, results)


def found(
    run: Path, cells: dict[Cell, list[dict[str, Any]]], truth: dict[str, Any] = TRUTH
) -> list[ApDifference]:
    results = [scored(cell, predictions) for cell, predictions in cells.items()]
    for cell, predictions in cells.items():
        keep(run, cell.id, predictions, truth)
    return judged(run, results)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.0, 0.0), "equal"),
        ((-0.01, 0.01), "equal"),
        ((0.001, 0.009), "equal"),
        ((0.001, 0.011), "higher"),
        ((-0.011, -0.001), "lower"),
        ((-0.011, 0.0), "inconclusive"),
        ((-0.2, 0.3), "inconclusive"),
    ],
)
def test_equality_within_the_margin_goes_before_a_sign(interval: tuple[float, float], verdict: str) -> None:
    assert ap_differences.verdict(interval, 0.01) == verdict


def test_the_same_predictions_are_equal_and_worse_ones_lower(tmp_path: Path) -> None:
    bf16 = run_folders.cell("accuracy", batch=8, runtime="openvino", mode="ir", precision="bf16")
    same, worse = found(tmp_path, {TORCH: GOOD, IR: GOOD, bf16: BAD})
    assert (same.a, same.b, same.question) == (IR.id, TORCH.id, "deployment")
    assert (same.difference, same.interval, same.verdict) == (0.0, (0.0, 0.0), "equal")
    assert (same.margin, same.images) == (ap_differences.SAME_WEIGHTS, 40)
    assert (worse.a, worse.b, worse.verdict) == (bf16.id, TORCH.id, "lower")
    assert worse.margin == ap_differences.OTHER
    assert worse.interval is not None
    assert worse.interval[0] < (worse.difference or 0) < worse.interval[1] < 0


def test_the_interval_is_that_of_the_paired_bootstrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pair] = found(tmp_path, {KERAS: GOOD, TORCH: OTHER})
    matched = (bootstrap.match(rows, TRUTH) for rows in (GOOD, OTHER))
    direct = bootstrap.difference(*matched, ap_differences.DRAWS, ap_differences.SEED)
    assert (pair.question, pair.a, pair.b) == ("twins", KERAS.id, TORCH.id)
    assert (pair.difference, *(pair.interval or ())) == pytest.approx(direct)
    assert (pair.ap_a, pair.ap_b) == pytest.approx((ap(GOOD), ap(OTHER)))
    assert pair.margin == ap_differences.SAME_WEIGHTS, "both twins hold the same file"
    monkeypatch.setattr(artifacts, "artifact_sha256", lambda path: str("tf" in path.parts))
    keras, torch = (
        scored(c, p, artifact_sha256=s) for c, p, s in ((KERAS, GOOD, "True"), (TORCH, OTHER, "False"))
    )
    [trained] = judged(tmp_path, [keras, torch])
    assert (trained.question, trained.margin) == ("twins", ap_differences.OTHER)


def test_many_aps_are_corrected_for_their_number(tmp_path: Path) -> None:
    """One of forty equal runtimes looks lower at 2.5 % a side; Holm asks forty times as much of it."""
    axes = {"batch": 8, "runtime": "openvino", "mode": "ir"}
    modes = [run_folders.cell("accuracy", threads=count, **axes) for count in range(40)]
    alone = found(tmp_path / "one", {TORCH: GOOD, modes[0]: OTHER})
    [one] = alone
    many = found(tmp_path / "many", {TORCH: GOOD, **dict.fromkeys(modes, OTHER)})
    assert one.p_holm == one.p
    assert {(other.difference, other.interval, other.p) for other in many} == {
        (one.difference, one.interval, one.p)
    }
    assert many[0].p_holm == pytest.approx(min(1.0, 40 * (one.p or 0.0)))


def test_the_matches_are_those_of_the_last_round(tmp_path: Path) -> None:
    keep(tmp_path, TORCH.id, GOOD, TRUTH)
    write_arrays(results_.samples_path(tmp_path, TORCH.id, 2), bootstrap.match(BAD, TRUTH).to_arrays())
    twice = run_folders.result(TORCH, [ap(GOOD), ap(BAD)])
    kept = ap_differences.matches(tmp_path, twice)
    assert kept is not None
    assert bootstrap.ap(kept) == ap(BAD)


def test_each_twin_s_exports_are_held_against_its_own_framework(tmp_path: Path) -> None:
    of_keras = run_folders.cell("accuracy", batch=8, twin="tf", runtime="openvino", mode="ir")
    on_gpu = run_folders.cell("accuracy", batch=8, device="cuda")
    pairs = found(tmp_path, dict.fromkeys((IR, of_keras, KERAS, TORCH, on_gpu), GOOD))
    assert {(one.question, one.a, one.b) for one in pairs} == {
        ("deployment", IR.id, TORCH.id),
        ("deployment", of_keras.id, KERAS.id),
        ("twins", KERAS.id, TORCH.id),
    }


def test_what_was_not_scored_or_kept_has_no_verdict_and_says_why(tmp_path: Path) -> None:
    failed = run_folders.result(IR, [], status="unsupported", reason="no plugin")
    [one] = judged(tmp_path, [scored(TORCH, GOOD), failed])
    assert (one.verdict, one.difference) == (None, None)
    assert one.reason == f"{IR.id} is unsupported: no plugin"
    keep(tmp_path, TORCH.id, GOOD, TRUTH)
    [one] = judged(tmp_path, [scored(TORCH, GOOD), scored(IR, BAD)])
    assert (one.verdict, one.interval) == (None, None)
    assert one.difference == pytest.approx(ap(BAD) - ap(GOOD))
    assert one.reason == "no interval: scored by a version that kept no matches; bench --again scores anew"
    old = scored(IR, BAD, artifact_sha256="b" * 64)
    [one] = judged(tmp_path, [scored(TORCH, GOOD), old])
    assert (one.verdict, one.interval) == (None, None)
    assert one.reason == f"{IR.id} was scored with another artifact than is there now; measure it again"
    keep(tmp_path, IR.id, found_in(crowded(40, 4), 0.02, 1), crowded(40, 4))
    [one] = judged(tmp_path, [scored(TORCH, GOOD), scored(IR, BAD)])
    assert (one.verdict, one.reason) == (None, "scored on other people")
    empty = crowded(1, 0) | {"annotations": []}
    [one] = found(tmp_path, {TORCH: [], IR: []}, empty)
    assert (one.verdict, one.reason) == (None, "nobody counts in these images")


def test_differences_are_written_read_and_printed(tmp_path: Path) -> None:
    cells = {TORCH: GOOD, IR: GOOD, KERAS: OTHER}
    pairs = found(tmp_path, cells)
    results = [scored(cell, predictions) for cell, predictions in cells.items()]
    assert ap_differences.renew(tmp_path, results) == ap_differences.differences(tmp_path) == pairs
    assert text.accuracies(pairs)[0] == (
        "torch-openvino-ir-fp32-cpu against torch-torch-eager-fp32-cpu, AP: +0.0000 [+0.0000, +0.0000] equal"
    )
    lost = ApDifference(question="twins", a=KERAS.id, b=TORCH.id, reason="scored on other people")
    also = msgspec.structs.replace(lost, a=IR.id)
    assert text.accuracies([lost, also, *pairs])[len(pairs) :] == [
        "tf-tf-graph-fp32-cpu against torch-torch-eager-fp32-cpu, "
        "torch-openvino-ir-fp32-cpu against torch-torch-eager-fp32-cpu, "
        "AP: no verdict (scored on other people)"
    ]
    (tmp_path / "bench" / "accuracies.json").write_text(json.dumps({"differences": [{"a": 1}]}))
    with pytest.raises(UserError, match=r"accuracies\.json is not as it was written .*differences"):
        ap_differences.differences(tmp_path)
    assert ap_differences.differences(tmp_path / "nowhere") == []


def test_only_what_changed_is_resampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found(tmp_path, {TORCH: GOOD, IR: GOOD})
    results = [scored(TORCH, GOOD), scored(IR, GOOD)]
    drawn: list[int] = []
    resampled = bootstrap.resampled

    def counted(*arguments: Any) -> Any:
        drawn.append(1)
        return resampled(*arguments)

    monkeypatch.setattr(bootstrap, "resampled", counted)
    first = judged(tmp_path, results)
    assert (ap_differences.renew(tmp_path, results), len(drawn)) == (first, 2)
    other = [scored(TORCH, GOOD), scored(IR, GOOD, hash="g" * 64)]
    assert (ap_differences.renew(tmp_path, other), len(drawn)) == (first, 4)
    (tmp_path / "bench" / "accuracies.json").write_text("[1")
    assert (ap_differences.renew(tmp_path, other), len(drawn)) == (first, 6)
    monkeypatch.setattr(artifacts, "artifact_sha256", lambda path: None)
    assert ap_differences.renew(tmp_path, other)[0].verdict is None, "the artifact is gone"


def compared(tmp_path: Path, b: list[dict[str, Any]], artifact: str = "a" * 64) -> ComparedRuns:
    runs = []
    for name, predictions, sha256 in (("a", GOOD, "a" * 64), ("b", b, artifact)):
        run = run_folders.write(tmp_path / name, [scored(TORCH, predictions, artifact_sha256=sha256)])
        keep(run, TORCH.id, predictions, TRUTH)
        runs.append(sides.read(run))
    return rows.compare_sides(*runs)


def test_two_runs_are_compared_over_the_same_images(tmp_path: Path) -> None:
    same = compared(tmp_path / "same", GOOD)
    assert (same.rows[0].verdict, same.rows[0].difference_interval) == ("equal", (0.0, 0.0))
    assert same.rows[0].reason is None
    worse = compared(tmp_path / "worse", BAD)
    [row] = worse.rows
    assert (row.verdict, row.status, worse.exit_code()) == ("lower", "regressed", REGRESSED)
    low, high = row.difference_interval or (0, 0)
    assert low < (row.difference or 0) < high < 0
    assert f"{low:+.4f} .. {high:+.4f}" in text_.text(worse)


def test_a_loss_within_the_luck_of_the_images_is_no_regression(tmp_path: Path) -> None:
    """Other weights, an AP a little off: the interval holds 0 and reaches beyond the margin."""
    both = compared(tmp_path, OTHER, artifact="b" * 64)
    [row] = both.rows
    assert row.difference_interval is not None
    assert row.difference_interval[0] < 0 < row.difference_interval[1]
    assert (row.verdict, row.status, both.exit_code()) == ("inconclusive", "compared", 0)
    assert row.reason == "other weights, one seed each"
