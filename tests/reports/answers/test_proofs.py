"""Same network? Equally accurate? How sure? Each decided, not decided, missing and spoiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ladder_files
import msgspec
import pytest
import small_runs
from small_runs import BF16, KERAS, ONNX, OPENVINO, TORCH, bench, cell, failed, invalid, run, shipped, twins

from bench.doubts import doubt
from bench.machine.disturbance import Disturbance
from bench.parity.certificate import Parity
from bench.run.bench_file import BenchFile, NoiseFloor, NoiseLook
from bench.run.results import Try
from bench.statistics.validity import Validity
from bench.verdicts.ap_differences import ApDifference
from reports.answers import accuracy, answers, network, sight
from reports.run.read import Epoch, TrainingHistory, read


def test_every_question_has_an_answer_even_of_an_empty_run():
    found = answers(replace(run(), parity=None, bench=None))
    assert len(found) == 8
    assert all(one.state == "open" and one.decides and one.command for one in found)
    assert all(one.text.endswith((".", one.command)) for one in found)


def test_equal_networks_are_proven_by_the_largest_error_of_each_part():
    found = network.same_network(shipped())
    assert found.word == "Yes, proven"
    assert (
        found.figures
        == "float64 outputs agree to 4.4e-14, gradients to 6.8e-13, 10 optimizer steps to 8.7e-12."
    )
    assert found.evidence.label == "certificate 5a5a5a"


def test_a_failed_ladder_is_a_no_that_names_the_check():
    ladder = msgspec.convert(ladder_files.failed(ladder_files.passed([])), Parity)
    found = network.same_network(replace(shipped(), parity=ladder))
    assert (found.word, found.state) == ("No", "no")
    assert found.figures.startswith("Rung 3 (Forward) failed first, in “fp64 heatmaps, evaluation mode”")
    assert "measured 3.1, bound 1e-12" in found.figures


def test_a_ladder_climbed_in_part_proves_nothing_yet():
    whole = ladder_files.passed([])
    rungs = [one | ({"status": "not climbed"} if one["number"] > 2 else {}) for one in whole["rungs"]]
    found = network.same_network(replace(shipped(), parity=msgspec.convert(whole | {"rungs": rungs}, Parity)))
    assert (found.word, found.state) == ("Not proven", "open")
    assert found.figures == "Rungs 1 and 2 passed, the others were not climbed."


def test_without_a_ladder_the_command_that_climbs_it_is_named():
    found = network.same_network(replace(shipped(), parity=None))
    assert (found.word, found.command) == ("Not proven", "twinpose parity runs/demo")


@pytest.mark.parametrize(
    ("verdict", "word", "state"),
    [
        ("equal", "Yes, within 0.01", "decided"),
        ("higher", "No, TensorFlow", "decided"),
        ("lower", "No, PyTorch", "decided"),
        ("inconclusive", "Not told apart", "open"),
    ],
)
def test_accuracy_is_told_by_the_interval_over_images(verdict: str, word: str, state: str):
    found = accuracy.equally_accurate(shipped(accuracies=(twins(0.323, 0.318, -0.009, 0.016, verdict),)))
    assert (found.word, found.state) == (word, state)
    said = "AP 0.323 TensorFlow, 0.318 PyTorch, difference +0.005 [−0.009, +0.016], one seed each."
    assert found.figures == said


def test_an_interval_without_zero_that_is_undecided_says_why():
    many = [twins(0.322, 0.342, -0.034, -0.001, "inconclusive")] * 3
    judged = tuple(msgspec.structs.replace(one, p_holm=0.12) for one in many)
    found = accuracy.equally_accurate(shipped(accuracies=judged))
    said = "[−0.034, −0.001], one seed each; 0 is left out, but not by enough for 3 questions at once (Holm)."
    assert found.figures.endswith(said)


def seeded(verdict: str, needed: int | None = None) -> ApDifference:
    """Return how the twins differ over three seeds."""
    one = twins(0.321, 0.318, -0.015, 0.021, verdict)
    facts = {"question": "seeds", "a": "tf", "b": "torch", "images": None}
    return msgspec.structs.replace(one, seeds=(0, 1, 2), seeds_needed=needed, **facts)


@pytest.mark.parametrize(
    ("verdict", "word"),
    [("equal", "Yes, within 0.01"), ("lower", "No, PyTorch"), ("inconclusive", "Not told apart")],
)
def test_over_seeds_the_interval_over_seeds_decides(verdict: str, word: str):
    both = (twins(0.33, 0.318, 0.011, 0.013, "higher"), seeded(verdict))
    found = accuracy.equally_accurate(shipped(accuracies=both))
    assert found.word == word
    said = "AP 0.321 TensorFlow, 0.318 PyTorch, difference +0.003 [−0.015, +0.021], over 3 seeds each."
    assert found.figures == said


def test_what_the_seeds_do_not_tell_is_told_by_how_many_would():
    made = "twinpose run --recipe demo --out runs/demo"
    one = accuracy.equally_accurate(shipped(accuracies=(twins(0.323, 0.318, -0.009, 0.016, "inconclusive"),)))
    assert (one.decides, one.command) == ("about 3 seeds,", f"{made} --seeds 3")
    told = shipped(accuracies=(seeded("inconclusive", 7),))
    told.facts["command"] = f"{made} --seeds 3"
    three = accuracy.equally_accurate(told)
    assert (three.decides, three.command) == ("about 7 seeds,", f"{made} --seeds 7")
    never = accuracy.equally_accurate(shipped(accuracies=(seeded("inconclusive"),)))
    assert (never.decides, never.command) == ("hundreds of seeds", "")


def test_seeds_of_which_one_alone_is_trained_leave_the_answer_to_the_images():
    unfinished = ApDifference(question="seeds", a="tf", b="torch", seeds=(0,), reason="both twins ...")
    both = (twins(0.323, 0.318, -0.009, 0.016, "inconclusive"), unfinished)
    assert accuracy.equally_accurate(shipped(accuracies=both)).figures.endswith("one seed each.")


def test_an_ap_of_chance_says_nothing_whatever_its_interval():
    found = accuracy.equally_accurate(shipped(accuracies=(twins(0.0, 0.0, 0.0, 0.0, "equal"),)))
    assert (found.word, found.state) == ("Not decided", "open")
    assert "below 0.05 AP says nothing" in found.figures


def test_aps_without_an_interval_decide_nothing():
    history = TrainingHistory((Epoch(1, ap=0.3),))
    found = accuracy.equally_accurate(shipped(accuracies=(), training={"tf": history, "torch": history}))
    assert found.word == "Not decided"
    assert found.figures == "AP 0.300 TensorFlow, 0.300 PyTorch, each at its best epoch, without an interval."
    assert found.command == "twinpose bench runs/demo -k accuracy"


def test_imported_weights_are_no_seeds():
    source = {"imported": {"name": "w.safetensors", "sha256": "a" * 64}}
    told = shipped(accuracies=(twins(0.32, 0.32, -0.001, 0.001, "equal"),), imported={"tf": source})
    assert "seed" not in accuracy.equally_accurate(told).figures


def test_sight_is_as_far_as_the_interval_of_a_cell_against_itself_reaches():
    found = sight.how_sure(shipped())
    assert (found.word, found.state) == ("Sees nothing below 3 %", "decided")
    assert found.figures.startswith(
        "6 of 6 comparisons decided. 0 of 12 rounds measured again. 0 of 8 cells are flagged"
    )


def test_a_flagged_run_and_an_invalid_one_say_so():
    assert sight.how_sure(shipped(bench=bench("FLAGGED"))).state == "open"
    found = sight.how_sure(shipped(bench=bench("INVALID", 1.1, 1.2)))
    assert (found.word, found.state) == ("Not at all", "no")
    assert "x against itself misses 1" in found.figures


def test_what_spoiled_it_and_what_is_not_here_are_counted():
    gpu = replace(TORCH, device="cuda")
    told = shipped()
    cells = (
        *told.cells,
        failed(gpu, "unsupported"),
        failed(BF16),
        invalid(cell(replace(ONNX, batch=8), 90.0)),
    )
    found = sight.how_sure(replace(told, cells=cells, parity=small_runs.parity(list(cells))))
    assert "0 of 9 cells are flagged, 1 INVALID, most often: IQR is 31.0% of the median" in found.figures
    assert "Not here: CUDA GPU, 1 cell (1 failed)" in found.figures


def test_the_doubt_that_most_cells_share_is_told_at_its_largest_whatever_verdict_it_gave():
    first, second, third, *others = shipped().cells
    found = (
        msgspec.structs.replace(first, validity=Validity("FLAGGED", ["x"], [doubt("spread", 0.262)])),
        msgspec.structs.replace(second, validity=Validity.of(doubt("wild", 0.785))),
        msgspec.structs.replace(third, validity=Validity.of(doubt("other work", 0.9))),
    )
    said = sight.how_sure(replace(shipped(), cells=(*found, *others))).figures
    assert "2 of 8 cells are flagged, 1 INVALID, most often: IQR is up to 78.5% of the median." in said


def test_a_run_of_before_doubts_had_kinds_says_what_its_rounds_say():
    golden = Path(__file__).resolve().parents[2] / "golden" / "run"
    most = "most often: the second half is up to -64.8% from the first."
    assert f"2 of 7 cells are flagged, 3 INVALID, {most}" in sight.how_sure(read(golden)).figures


def test_rounds_measured_again_are_counted_and_what_spoiled_the_others_is_named():
    told = shipped()
    first, *others = told.cells
    spoilt = [Disturbance("other work", 3.0, "other work took 40 % of the processors' time")]
    again = Try(number=1, median_ms=30.0, count=9, measured_s=1.0, disturbances=spoilt)
    rounds = [msgspec.structs.replace(one, other_tries=[again]) for one in first.rounds]
    rounds[0] = msgspec.structs.replace(rounds[0], disturbances=spoilt)
    found = sight.how_sure(replace(told, cells=(msgspec.structs.replace(first, rounds=rounds), *others)))
    assert "3 of 12 rounds measured again; 1 stayed disturbed (other work in 1)." in found.figures


def test_without_an_a_a_pair_the_sight_is_unknown_and_without_a_timing_there_is_none():
    assert sight.how_sure(shipped(bench=None)).word == "Not known"
    assert sight.how_sure(shipped(bench=None)).command == "twinpose bench runs/demo"
    gave_none = NoiseFloor([NoiseLook(a="x-again", b="x", n=0, reason="x is INVALID")])
    found = sight.how_sure(shipped(bench=BenchFile(noise=gave_none)))
    assert (found.word, found.command) == ("Not known", "twinpose bench runs/demo --again")
    assert sight.how_sure(run()).word == "Not at all"


def test_uncertified_timings_are_counted():
    found = sight.how_sure(
        run(cell(TORCH, 20.0, certificate_id=None), cell(OPENVINO, 10.0), cell(KERAS, 25.0))
    )
    assert "1 timing is uncertified" in found.figures
