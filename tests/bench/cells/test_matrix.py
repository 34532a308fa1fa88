"""From YAML to cells, and every mistake a user can make on the way."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bench.cells import matrix
from bench.cells.cell import TWINS, Cell
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS, why_not
from bench.parity import ladder
from bench.rounds import noise_pair
from pose import recipe
from pose.errors import UserError

TORCH = {"twin": "torch", "runtime": "torch", "mode": "eager", "scenario": "latency", "batch": 1}


def load(*blocks: dict[str, Any], **rest: Any) -> matrix.Matrix:
    return matrix.from_dict({"name": "test", "blocks": list(blocks), **rest}, cores=4)


def test_axes_multiply_out_in_order():
    block = {**TORCH, "mode": ["eager", "compiled"], "threads": [1, 2], "scenario": ["latency", "throughput"]}
    ids = [cell.id for cell in load(block).cells]
    assert len(set(ids)) == 8
    assert ids[0] == "torch-torch-eager-fp32-cpu-b1-t1-glibc-latency"
    assert ids[-1] == "torch-torch-compiled-fp32-cpu-b1-t2-glibc-throughput"


def test_an_id_tells_every_axis():
    [cell] = load(TORCH).cells
    axes = [axis.name for axis in fields(Cell) if axis.name != "replica"]
    assert all(str(getattr(cell, axis)) in cell.id for axis in axes)


def test_an_a_a_pair_is_the_first_timed_cell_and_the_same_again():
    first, second = load({**TORCH, "scenario": ["accuracy", "latency"]}).cells
    assert noise_pair.noise_pair([first]) is None
    assert noise_pair.noise_pair([first, second]) == (second, replace(second, replica=1))
    again = replace(second, replica=1)
    assert again.id == f"{second.id}-again"
    assert again.lane == second.lane


def test_a_profile_decides_what_the_matrix_leaves_open():
    quick = load(TORCH, protocol={"profile": "quick", "measured_s": 0.5, "images": 4}).protocol
    assert (quick.rounds, quick.rounds_max, quick.measured_s, quick.half_width) == (4, 10, 0.5, 0.05)
    assert (quick.until_decided, quick.is_sequential, quick.tries) == (True, True, 3)
    standard = load(TORCH).protocol
    assert (standard.profile, standard.rounds, standard.warmup_s, standard.measured_s) == (
        *("standard", 7),
        *(3.0, 5.0),
    )
    official = load(TORCH, protocol={"profile": "official"}).protocol
    assert (official.rounds, official.rounds_max, official.half_width) == (10, 30, 0.01)
    assert (official.until_decided, official.is_sequential, official.tries) == (False, True, 5)
    assert not standard.is_sequential
    assert (official.warmup_queries, official.warmup_s, official.warmup_gpu_s) == (50, 3, 10)
    assert official.measured_s >= 10
    moved = matrix.with_profile(load(TORCH, protocol={"images": 4, "measured_s": 9}), "quick").protocol
    assert (moved.profile, moved.images, moved.measured_s) == ("quick", 4, 1.0)


def test_a_profile_whose_values_the_matrix_changes_says_so():
    altered = load(TORCH, protocol={"profile": "official", "rounds": 3, "rounds_max": 30, "images": 4})
    assert altered.protocol.altered == {"rounds": 10}
    assert altered.to_dict()["altered"] == {"rounds": 10}
    assert "altered" not in altered.to_dict()["protocol"], "compare would take it for another rule"
    for profile in ("quick", "standard", "official"):
        plain = load(TORCH, protocol={"profile": profile, "timeout_s": 5})
        assert plain.protocol.altered == {}
        assert "altered" not in plain.to_dict()
    assert load(TORCH, protocol={"profile": "quick", "rounds": 5, "rounds_max": 12}).protocol.altered == {
        "rounds": 4,
        "rounds_max": 10,
    }


@pytest.mark.parametrize("profile", ["quick", "standard", "official"])
def test_rounds_named_alone_are_a_fixed_number_whatever_the_profile(profile: str):
    found = load(TORCH, protocol={"profile": profile, "rounds": 1}).protocol
    assert (found.rounds, found.rounds_max, found.is_sequential) == (1, 1, False)
    assert set(found.altered) == {"rounds", "rounds_max"}


@pytest.mark.parametrize("profile", ["quick", "official"])
def test_a_stopping_rule_that_is_taken_away_is_an_altered_profile(profile: str):
    plain = load(TORCH, protocol={"profile": profile}).protocol
    found = load(TORCH, protocol={"profile": profile, "half_width": None}).protocol
    assert not found.is_sequential
    assert found.altered == {"half_width": plain.half_width}
    fixed = load(TORCH, protocol={"profile": profile, "rounds": plain.rounds_max}).protocol
    assert (fixed.rounds_max, fixed.is_sequential) == (plain.rounds_max, False)
    assert fixed.altered["rounds"] == plain.rounds
    assert fixed.altered["half_width"] == plain.half_width


def test_a_last_round_that_nobody_named_is_never_below_the_first():
    found = load(TORCH, protocol={"profile": "quick", "rounds": 12, "half_width": 0.05}).protocol
    assert (found.rounds, found.rounds_max, found.altered) == (12, 12, {"rounds": 4, "rounds_max": 10})
    found = load(TORCH, protocol={"profile": "quick", "rounds": 6, "half_width": 0.05}).protocol
    assert (found.rounds, found.rounds_max, found.is_sequential) == (6, 10, True)
    with pytest.raises(UserError, match="rounds_max 10 is below rounds 12"):
        load(TORCH, protocol={"profile": "quick", "rounds": 12, "rounds_max": 10})


def test_a_runtime_may_live_in_a_place_of_its_own():
    place = {"python": "envs/tf/bin/python", "env": {"A": "1"}, "folder": "/tmp"}
    found = load(TORCH, interpreters={"tf": place, "torch": "envs/torch/bin/python"}).places
    assert found["tf"].model_dump() == place
    assert found["torch"].model_dump() == {"python": "envs/torch/bin/python", "env": {}, "folder": None}


def test_a_batch_may_differ_by_scenario():
    block = {**TORCH, "scenario": ["latency", "throughput"], "batch": {"latency": 1, "throughput": [8, 32]}}
    assert [(c.scenario, c.batch) for c in load(block).cells] == [
        ("latency", 1),
        ("throughput", 8),
        ("throughput", 32),
    ]


def test_defaults_hold_where_a_block_is_silent():
    lean = {key: TORCH[key] for key in ("twin", "runtime", "mode")}
    rest = {"scenario": "latency", "batch": 1, "threads": 3}
    first, second = load(lean, {**lean, "threads": 1}, defaults=rest).cells
    assert (first.threads, second.threads) == (3, 1)


def test_all_threads_are_the_machines_cores():
    assert [cell.threads for cell in load({**TORCH, "threads": [1, "all"]}).cells] == [1, 4]
    assert [cell.threads for cell in load({**TORCH, "threads": [4, "all"]}).cells] == [4]


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"presicion": "fp32"}, "unknown key 'blocks.0.presicion'; did you mean 'precision'?"),
        ({"mode": "ir"}, "runtime 'torch' has no mode 'ir'; it has: eager, contiguous, compiled, aot"),
        ({"runtime": "pytorch"}, "Input should be 'tf', 'torch', 'onnxruntime'"),
        ({"twin": "tf"}, "runtime 'torch' cannot run the twin 'tf'"),
        ({"batch": 0}, r"greater than 0 \(given: 0\)"),
        ({"batch": {"throughput": 8}}, "batch names no size for the scenario 'latency'"),
        ({"threads": []}, "at least 1 item"),
        ({"scenario": None}, "blocks.0.scenario"),
    ],
)
def test_a_wrong_block_says_where_and_what(patch: dict[str, Any], words: str):
    with pytest.raises(UserError, match=words):
        load({**TORCH, **patch})


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"protcol": {}}, "unknown key 'protcol'; did you mean 'protocol'?"),
        ({"protocol": {"warmup": 1}}, "unknown key 'protocol.warmup'; did you mean 'warmup_s'?"),
        ({"interpreters": {"jax": "python"}}, "interpreters"),
        ({"protocol": {"profile": "fast"}}, "'quick', 'standard' or 'official'"),
        ({"protocol": {"rounds": 5, "rounds_max": 4}}, "rounds_max 4 is below rounds 5"),
        ({"protocol": {"rounds": 1, "half_width": 0.01}}, "half_width needs at least 2 rounds"),
        ({"blocks": []}, "blocks: .*at least 1 item"),
        ({"blocks": 3}, "blocks: "),
        ({"blocks": [3]}, "blocks.0: "),
    ],
)
def test_a_wrong_matrix_says_where_and_what(rest: dict[str, Any], words: str):
    with pytest.raises(UserError, match=words):
        matrix.from_dict({"name": "test", "blocks": [TORCH], **rest})


def test_a_cell_named_twice_is_refused():
    with pytest.raises(UserError, match="torch-torch-eager-fp32-cpu-b1-t4-glibc-latency is named twice"):
        load(TORCH, TORCH)


@pytest.mark.parametrize("text", ["- 1", "name: [", "", "\x00"])
def test_a_file_that_is_no_matrix_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml"):
        matrix.load(str(path))


def test_a_missing_matrix_names_the_shipped_ones():
    with pytest.raises(UserError, match="did you mean 'demo'"):
        matrix.load("demoo")


@pytest.mark.parametrize("name", recipe.shipped("matrices"))
@pytest.mark.parametrize("cores", [1, 2, 64])
def test_every_shipped_matrix_loads_on_any_machine(name: str, cores: int):
    loaded = matrix.load(name, cores=cores)
    assert loaded.name == name
    assert {cell.twin for cell in loaded.cells} == set(TWINS)
    assert {cell.runtime for cell in loaded.cells} <= set(RUNTIMES)


def test_the_demo_matrix_covers_every_runtime_and_scenario():
    cells = matrix.load("demo", cores=2).cells
    assert {cell.runtime for cell in cells} == set(RUNTIMES)
    assert {cell.scenario for cell in cells} == {"latency", "throughput", "train", "accuracy"}
    assert any(cell.device == "cuda" for cell in cells)


def test_the_demo_times_a_training_step_of_each_twin_in_one_lane_as_its_recipe_trains() -> None:
    steps = [cell for cell in matrix.load("demo", cores=2).cells if cell.scenario == "train"]
    assert [cell.twin for cell in steps] == ["torch", "tf"]
    assert not any(why_not(cell) for cell in steps)
    [lane] = {cell.lane for cell in steps}
    assert (lane.batch, lane.allocator) == (recipe.load("demo").training.batch_size, "tuned")


def test_what_a_run_climbs_certifies_every_cell_of_the_demo() -> None:
    needed = {rung for cell in matrix.load("demo", cores=2).cells for rung in SCENARIOS[cell.scenario].rungs}
    assert needed <= set(ladder.QUICK)


def test_a_run_on_a_gpu_moves_every_cell_but_openvinos() -> None:
    demo = matrix.load("demo", cores=2)
    moved = matrix.on_device(demo, "cuda")
    assert {cell.device for cell in moved.cells if cell.runtime != "openvino"} == {"cuda"}
    assert {cell.device for cell in moved.cells if cell.runtime == "openvino"} == {"cpu"}
    loaders = matrix.on_device(load({**TORCH, "scenario": ["train", "data"]}), "cuda").cells
    assert {cell.scenario: cell.device for cell in loaders} == {"train": "cuda", "data": "cpu"}
    assert len({cell.id for cell in moved.cells}) == len(moved.cells)
    assert matrix.on_device(demo, "cpu").cells == demo.cells
