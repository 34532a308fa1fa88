"""Trains faster? Fastest? At what cost? Ship here? Each decided, not decided, missing and spoiled."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest
import small_runs
from small_runs import (
    BF16,
    INT8,
    KERAS,
    ONNX,
    OPENVINO,
    TORCH,
    bench,
    cell,
    compare,
    deployed,
    failed,
    invalid,
    other_verdict,
    run,
    scored,
    shipped,
)

from bench.cells.cell import Cell
from bench.doubts import doubt
from bench.run.results import CellResult
from bench.statistics.validity import Validity, cell_validity
from reports.answers import choice, cost, deciding, sight, speed, training
from reports.answers.answer import Answer
from reports.run.read import Epoch, Run, TrainingHistory


def at_batch_1(found: Run) -> Answer:
    return speed.fastest_at_batch_1(found)


def test_the_fastest_runtime_beats_every_other_and_is_held_against_the_common_one():
    found = at_batch_1(shipped())
    assert (found.word, found.state, found.command) == ("OpenVINO", "decided", "")
    assert found.figures == (
        "10.0 ms in fp32, 1.50× ONNX Runtime [1.43, 1.58] and 2.00× PyTorch eager [1.90, 2.10]; "
        "ONNX Runtime 1.33× [1.27, 1.40]; "
        "TensorFlow graph 0.80× [0.76, 0.84]."
    )


def test_what_is_open_is_said_beside_its_figure_and_named_at_the_end():
    told = other_verdict(shipped(), KERAS, TORCH, 0.9, "inconclusive")
    assert "; TensorFlow graph 0.90× [" in at_batch_1(told).figures
    assert at_batch_1(told).figures.endswith("], open.")
    said = "5 of 6 comparisons decided; open: TensorFlow graph against PyTorch eager (latency)."
    assert sight.how_sure(told).figures.startswith(said)


def test_a_baseline_that_leads_is_held_against_each_other():
    told = run(cell(TORCH, 10.0), cell(KERAS, 12.5), comparisons=(compare(KERAS, TORCH, 0.8, "slower"),))
    found = at_batch_1(told)
    assert (found.word, found.figures) == (
        "PyTorch eager",
        "10.0 ms in fp32, 1.25× TensorFlow graph [1.19, 1.31].",
    )


def test_a_baseline_that_leads_several_is_what_they_are_held_against_as_in_the_figure():
    told = shipped()
    led = [cell(TORCH, 5.0), *(one for one in told.cells if one.id != TORCH.id)]
    pairs = [
        compare(one, TORCH, speedup, "slower")
        for one, speedup in ((ONNX, 0.33), (OPENVINO, 0.5), (KERAS, 0.2))
    ]
    pairs += [pair for pair in told.comparisons or () if TORCH.id not in {pair.a, pair.b}]
    found = at_batch_1(replace(told, cells=tuple(led), comparisons=tuple(pairs)))
    assert found.word == "PyTorch eager"
    assert found.figures.startswith(
        "5.00 ms in fp32, the baseline; OpenVINO 0.50× [0.48, 0.53]; ONNX Runtime 0.33×"
    )


def test_who_is_not_told_from_the_first_makes_it_undecided_and_more_rounds_decide():
    found = at_batch_1(other_verdict(shipped(), OPENVINO, ONNX, 1.02, "inconclusive"))
    assert (found.word, found.state) == ("Not decided between OpenVINO and ONNX Runtime", "open")
    assert re.fullmatch(r"about \d+ more passe?s?, [\d.]+ s,", found.decides)
    assert found.command == "twinpose bench runs/demo --more"


def test_what_no_bench_in_reason_tells_apart_needs_a_quieter_machine():
    told = other_verdict(shipped(), OPENVINO, ONNX, 1.0, "inconclusive")
    found = at_batch_1(replace(told, cells=too_close(told.cells, ONNX, OPENVINO)))
    assert found.decides.startswith("a quieter machine: ")
    assert found.command == "twinpose bench runs/demo --again"


def too_close(cells: tuple[CellResult, ...], a: Cell, b: Cell) -> tuple[CellResult, ...]:
    """Return the cells, two of which no bench in reason tells apart."""
    known = {a.id: 1.001, b.id: 1.0}
    return tuple(small_runs.scattered(one, known[one.id]) if one.id in known else one for one in cells)


def test_every_answer_says_of_its_own_pairs_what_decides_them_and_the_last_of_all_of_them():
    told = other_verdict(shipped(), OPENVINO, ONNX, 1.0, "inconclusive")
    fast, slow = (replace(one, scenario="throughput", batch=8) for one in (OPENVINO, TORCH))
    cells = (*too_close(told.cells, ONNX, OPENVINO), cell(fast, 340.0), cell(slow, 337.0))
    pairs = (*(told.comparisons or ()), compare(fast, slow, 1.01, "inconclusive"))
    told = replace(told, cells=cells, comparisons=pairs, parity=small_runs.parity(list(cells)))
    close, more, both = at_batch_1(told), speed.fastest_in_throughput(told), sight.how_sure(told)
    assert close.decides == "a quieter machine: 30 rounds tell no more here,"
    assert re.fullmatch(r"about \d+ more passe?s?, [\d.]+ s,", more.decides)
    assert both.decides == f"a quieter machine for 1 of 2 open pairs; for the other {more.decides}"
    assert both.command == more.command == "twinpose bench runs/demo --more"


def test_a_bench_that_is_invalid_has_one_remedy_whatever_is_asked():
    told = other_verdict(shipped(bench=bench("INVALID")), OPENVINO, ONNX, 1.02, "inconclusive")
    found = (at_batch_1(told), choice.ship_here(told), sight.how_sure(told))
    assert {(one.decides, one.command) for one in found} == {
        ("a quieter machine,", "twinpose bench runs/demo --again")
    }


def test_a_pair_that_an_invalid_cell_leaves_open_asks_for_its_lane_on_a_quieter_machine():
    told = shipped()
    cells = tuple(invalid(one) if one.id == ONNX.id else one for one in told.cells)
    by_id = {one.id: one for one in cells}
    asked = [(by_id[OPENVINO.id], by_id[ONNX.id])]
    decides, command = deciding.remedy(replace(told, cells=cells), asked)
    assert decides == "a quieter machine,"
    assert command == "twinpose bench runs/demo -k fp32-cpu-b1-t2-glibc-latency --again"
    assert deciding.remedy(told) == ("", "")


def test_cells_that_are_all_invalid_ask_for_a_quieter_machine_and_not_for_a_bench_that_keeps_them():
    told = shipped()
    cells = tuple(invalid(one) for one in told.cells)
    spoilt = replace(told, cells=cells)
    anew = "twinpose bench runs/demo -k fp32-cpu-b1-t2-glibc-latency --again"
    for found in (at_batch_1(spoilt), choice.ship_here(spoilt)):
        assert (found.decides, found.command) == ("a quieter machine,", anew)
    one_left = tuple(one if one.id == OPENVINO.id else invalid(one) for one in told.cells)
    found = at_batch_1(replace(told, cells=one_left))
    assert found.figures.startswith("Only OpenVINO may be ranked")
    assert (found.decides, found.command) == ("a quieter machine,", anew)


def test_who_is_equivalent_shares_the_answer():
    found = at_batch_1(other_verdict(shipped(), OPENVINO, ONNX, 1.005, "equivalent"))
    assert (found.word, found.state) == ("OpenVINO and ONNX Runtime, equal within 2 %", "decided")


def test_other_weights_on_the_same_runtime_are_no_rival():
    other = replace(OPENVINO, twin="tf")
    told = shipped()
    pairs = (*(told.comparisons or ()), compare(other, OPENVINO, 0.99, "inconclusive"))
    pairs += tuple(
        compare(other, one, s, "faster") for one, s in ((TORCH, 1.98), (ONNX, 1.48), (KERAS, 2.48))
    )
    cells = (*told.cells, cell(other, 10.1))
    found = at_batch_1(replace(told, cells=cells, comparisons=pairs, parity=small_runs.parity(list(cells))))
    assert (found.word, found.state) == ("OpenVINO", "decided")


def test_an_invalid_cell_is_left_out_and_named():
    told = shipped()
    cells = tuple(invalid(one) if one.id == ONNX.id else one for one in told.cells)
    found = at_batch_1(replace(told, cells=cells))
    assert found.word == "OpenVINO"
    assert "ONNX Runtime 1" not in found.figures
    assert found.figures.endswith("left out: PyTorch on ONNX Runtime INVALID.")


def test_one_arm_alone_wins_nothing():
    found = at_batch_1(run(cell(TORCH, 10.0), failed(KERAS)))
    assert found.word == "Not decided"
    assert (
        found.figures
        == "Only PyTorch eager may be ranked, 10.0 ms in fp32; left out: TensorFlow graph failed."
    )


def test_a_bench_whose_identical_arms_differ_ranks_nobody():
    found = at_batch_1(shipped(bench=bench("INVALID")))
    assert (found.word, found.state) == ("Not decided", "no")


def test_timings_without_a_certificate_say_so():
    told = run(
        cell(TORCH, 20.0, certificate_id=None),
        cell(OPENVINO, 10.0, certificate_id=None),
        comparisons=(compare(OPENVINO, TORCH, 2.0, "faster"),),
    )
    assert at_batch_1(told).figures.endswith("; timed without a certificate.")


def test_every_device_has_an_answer_of_its_own():
    gpu = [replace(one, device="cuda") for one in (TORCH, KERAS)]
    told = shipped()
    cells = (*told.cells, cell(gpu[0], 2.0), cell(gpu[1], 4.0))
    pairs = (*(told.comparisons or ()), compare(gpu[1], gpu[0], 0.5, "slower"))
    found = at_batch_1(replace(told, cells=cells, comparisons=pairs, parity=small_runs.parity(list(cells))))
    assert found.word == "OpenVINO"
    assert found.figures.endswith(
        "CUDA GPU: PyTorch eager, 2.00 ms in fp32, 2.00× TensorFlow graph [1.90, 2.10]."
    )


def test_throughput_names_its_batch_and_more_is_faster():
    fast, slow = (replace(one, scenario="throughput", batch=8) for one in (OPENVINO, TORCH))
    found = speed.fastest_in_throughput(
        run(cell(fast, 478.0), cell(slow, 337.0), comparisons=(compare(fast, slow, 1.42, "faster"),))
    )
    assert (found.word, found.figures) == (
        "OpenVINO",
        "batch 8, 478.0 images/s in fp32, 1.42× PyTorch eager [1.35, 1.49].",
    )
    assert speed.fastest_in_throughput(run()).figures == "No throughput cell was measured."
    assert speed.fastest_in_throughput(run(failed(fast))).figures == "None of 1 cells has a figure."


STEPS = tuple(replace(one, scenario="train", batch=16) for one in (TORCH, KERAS))


def trained(verdict: str | None, speedup: float = 0.77) -> Answer:
    torch, keras = STEPS
    pair = compare(keras, torch, speedup, verdict)
    return training.trains_faster(run(cell(torch, 5.0), cell(keras, 5.0 * speedup), comparisons=(pair,)))


@pytest.mark.parametrize(
    ("verdict", "word", "state"),
    [
        ("slower", "PyTorch", "decided"),
        ("equivalent", "Neither, equal within 2 %", "decided"),
        ("inconclusive", "Not told apart", "open"),
        (None, "Not decided", "open"),
    ],
)
def test_who_trains_faster_is_a_verdict_like_any_other(verdict: str | None, word: str, state: str):
    found = trained(verdict)
    assert (found.word, found.state) == (word, state)
    both = ("PyTorch 5.0 steps/s", "TensorFlow 3.9 steps/s")
    assert " against ".join(both if verdict else both[::-1]) + ", batch 16" in found.figures
    if verdict == "slower":
        assert found.figures.startswith("1.30× [1.24, 1.36]")


def test_times_of_epochs_rank_no_twin():
    histories = {twin: TrainingHistory((Epoch(1, train_s=s),)) for twin, s in (("tf", 27.0), ("torch", 20.0))}
    found = training.trains_faster(shipped(training=histories))
    assert found.word == "Not decided"
    assert "an epoch took 27 s TensorFlow and 20 s PyTorch, one training each" in found.figures
    assert found.command == "twinpose bench runs/demo --matrix cpu -k train"


def priced(*known: object, cells: tuple[object, ...] = ()) -> Run:
    told = shipped()
    all_cells = (*told.cells, *cells)
    return replace(told, cells=all_cells, accuracies=known, parity=small_runs.parity(list(all_cells)))  # type: ignore[arg-type]


FP32 = deployed(OPENVINO, -0.0002, 0.0002, "equal", 0.001)
LOW = (cell(BF16, 5.0), scored(BF16), cell(INT8, 2.5), scored(INT8))


def test_the_cost_of_each_precision_stands_beside_its_gain():
    known = (FP32, deployed(BF16, -0.001, 0.005, "equal"), deployed(INT8, -0.03, -0.01, "lower"))
    found = cost.at_what_cost(priced(*known, cells=LOW))
    assert (found.word, found.state) == ("OpenVINO fp32, AP kept within 0.001", "decided")
    assert found.figures.startswith(
        "2.00× PyTorch eager [1.90, 2.10], ΔAP 0.000 [0.000, 0.000]. bf16, AP kept within 0.01: 2.00×"
    )
    assert "int8, lower AP: 4.00× fp32 [3.9" in found.figures
    assert found.figures.endswith("ΔAP −0.020 [−0.030, −0.010].")


def test_a_cost_that_no_ap_tells_is_open():
    found = cost.at_what_cost(priced(FP32, cells=LOW))
    assert found.state == "open"
    assert "bf16, not decided" in found.figures
    bare = cost.at_what_cost(run(cell(TORCH, 10.0)))
    assert bare.figures == "No OpenVINO cell has a certified latency."
    assert bare.command == "twinpose bench runs/demo -k openvino"


def test_the_fastest_whose_ap_holds_is_shipped_and_what_it_may_lose_is_said():
    known = (FP32, deployed(BF16, -0.001, 0.005, "equal"), deployed(INT8, -0.006, 0.002, "equal"))
    found = choice.ship_here(priced(*known, cells=LOW))
    assert (found.word, found.state) == ("OpenVINO int8 of the PyTorch twin", "decided")
    assert found.figures.startswith("2.50 ms, unless 0.006 of AP matters: then OpenVINO fp32, 10.0 ms")


def test_a_faster_artifact_whose_ap_is_lower_is_named_and_not_shipped():
    known = (FP32, deployed(INT8, -0.03, -0.01, "lower"))
    found = choice.ship_here(priced(*known, cells=LOW[2:]))
    assert (found.word, found.state) == ("OpenVINO fp32 of the PyTorch twin", "decided")
    assert found.figures == "10.0 ms, its AP that of its source. Faster, but AP lower: OpenVINO int8 2.50 ms."


def test_a_faster_artifact_whose_ap_is_unknown_leaves_it_open():
    found = choice.ship_here(priced(FP32, cells=LOW[:1]))
    assert (found.word, found.state) == ("OpenVINO fp32 of the PyTorch twin, as far as known", "open")
    assert "Faster, but AP not decided: OpenVINO bf16 5.00 ms" in found.figures


def test_an_artifact_whose_cell_is_flagged_is_shipped_with_its_doubt():
    told = priced(FP32, deployed(BF16, -0.001, 0.005, "equal"), cells=LOW[:2])
    cells = tuple(
        msgspec.structs.replace(one, validity=cell_validity([Validity.of(doubt("other work", 0.3))]))
        if one.id == BF16.id
        else one
        for one in told.cells
    )
    found = choice.ship_here(replace(told, cells=cells))
    assert found.word == choice.ship_here(told).word == "OpenVINO bf16 of the PyTorch twin"
    assert "Its latency is flagged: other work took 30% of the processors' time." in found.figures
    assert "flagged" not in choice.ship_here(told).figures


def test_two_that_are_as_fast_are_both_named():
    told = other_verdict(shipped(), OPENVINO, ONNX, 1.01, "inconclusive")
    found = choice.ship_here(told)
    assert (found.word, found.state) == ("OpenVINO fp32 or ONNX Runtime fp32", "open")


def test_nothing_is_shipped_of_a_bench_that_is_invalid_or_empty_or_uncertified():
    assert choice.ship_here(shipped(bench=bench("INVALID"))).state == "no"
    assert choice.ship_here(run()).word == "Not decided"
    assert choice.ship_here(run(cell(TORCH, 10.0, certificate_id=None))).word == "Not decided"
