"""Rungs 2 to 5 on numbers by hand: what passes, what fails, and what is named."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import twins

from bench.parity.rungs import forward, gradient, optimizer, probing, weights
from bench.parity.rungs.base import Context, told, within
from bench.process import environment
from bench.process.launch import ChildFailed
from pose import architecture
from pose.weights import initial, save


def test_a_round_trip_names_a_tensor_that_is_missing_extra_or_changed():
    given = {"conv1.weight": np.ones(3), "bn1.weight": np.zeros(2)}
    check = weights._round_trip("tf, float64", given, given)
    assert (check.passed, check.measured, check.where) == (True, 0, None)
    for back, where in (
        ({"conv1.weight": np.ones(3)}, "bn1.weight"),
        (given | {"bn1.scale": np.ones(2)}, "bn1.scale"),
        (given | {"conv1.weight": np.nextafter(np.ones(3), 2)}, "conv1.weight"),
    ):
        check = weights._round_trip("tf, float64", given, back)
        assert (check.passed, check.measured, check.where) == (False, 1, where)


def test_a_parameter_that_keeps_its_own_start_is_named_and_one_that_starts_right_is_not():
    canonical = {"a": np.ones(2), "b": np.ones(2)}
    own = {"own/a": np.zeros(2), "own/b": np.ones(2)}
    check = weights._replaced("tf", canonical, own | {"back/a": np.zeros(2), "back/b": np.ones(2)})
    assert (check.passed, check.where) == (False, "a")
    assert weights._replaced("tf", canonical, own | {"back/a": np.ones(2), "back/b": np.ones(2)}).passed


def test_a_twin_may_round_twice_as_much_as_the_other_and_no_more():
    reference = np.ones(1000)
    pair = {"tf": reference + 1.9e-6, "torch": reference + 1e-6}
    assert [check.passed for check in forward.no_worse("heatmaps", pair, reference)] == [True, True]
    checks = forward.no_worse("heatmaps", pair | {"tf": reference + 2.2e-6}, reference)
    assert [(check.passed, "tf" in check.name) for check in checks] == [(False, True), (True, False)]
    assert checks[0].bound == pytest.approx(2.1e-6)


def test_a_number_that_is_none_passes_no_rule():
    reference = np.ones(4)
    pair = {"tf": np.array([1, 1, np.nan, 1]), "torch": reference}
    assert not any(check.passed for check in forward.no_worse("heatmaps", pair, reference))
    assert not within("gradients", gradient.shares({"a": math.nan}, {"a": 0.0}, {"a": 1.0}), 1, "").passed
    assert not within("gradients", gradient.shares({"a": 1.0}, {"a": math.nan}, {"a": 1.0}), 1, "").passed


def test_heatmaps_are_compared_a_sample_at_a_time():
    reference = np.ones((3, 2, 4, 4))
    values = reference.copy()
    values[1] *= 1.5
    assert forward.by_sample(values, reference) == {"probe 0": 0, "probe 1": 0.5, "probe 2": 0}


def test_of_layers_that_are_off_the_first_is_named_and_not_the_worst():
    model = twins.tiny().model
    errors = {name: 0.0 for name in architecture.build(model).shapes() if "running_" in name}
    late = errors | {"layer4.0.bn1.running_mean": 3.0, "layer1.0.bn2.running_var": 1e-10}
    assert forward.first_off(model, late) == "layer1.0.bn2.running_var"
    assert forward.first_off(model, errors | {"bn1.running_var": math.nan}) == "bn1.running_var"


def test_a_layer_that_one_twin_lacks_is_named_before_those_behind_it():
    model = twins.tiny().model
    errors = {name: 0.0 for name in architecture.build(model).shapes() if "running_" in name}
    lost = "layer1.0.bn2.running_var (missing in tf)"
    off = errors | {"layer4.0.bn1.running_mean": 3.0, lost: math.inf, "fc.running_var": math.inf}
    assert forward.first_off(model, off) == lost
    assert forward.first_off(model, errors | {"fc.running_var": math.inf}) == "fc.running_var"


def test_heatmaps_of_another_shape_fail_and_both_shapes_are_named():
    reference = np.ones((3, 2, 4, 4))
    check = within("heatmaps", forward.by_sample(reference[:, :, 1:], reference), 1e-12, "")
    assert (check.passed, check.where) == (False, "all probes: 3x2x3x4, not 3x2x4x4")
    pair = {"tf": reference[:, :, 1:], "torch": reference}
    checks = forward.no_worse("heatmaps", pair, reference)
    assert [(c.passed, c.where) for c in checks] == [(False, "3x2x3x4, not 3x2x4x4"), (True, None)]


def test_twins_that_are_both_infinitely_far_off_pass_no_rule():
    reference = np.ones(4)
    pair = dict.fromkeys(("tf", "torch"), np.full(4, np.inf))
    assert not any(check.passed for check in forward.no_worse("heatmaps", pair, reference))


def test_a_gradient_that_one_twin_lacks_or_shapes_otherwise_is_named():
    ones = {"loss": np.ones(1), "grad/a": np.ones(2), "grad/b": np.ones((2, 3))}
    other = {"loss": np.ones(1), "grad/b": np.ones((3, 2)), "grad/c": np.ones(1)}
    found = gradient.Errors()
    found.add({"tf": {"float64": other, "float32": other}, "torch": {"float64": ones, "float32": ones}})
    odd = dict.fromkeys(("a (missing in tf)", "b (tf: 3x2, torch: 2x3)", "c (missing in torch)"), math.inf)
    assert found.exact() == odd
    assert found.odd["float32"] == odd
    assert gradient.shares(found.typical("tf"), found.typical("torch"), found.sizes()) == {}


def test_heatmaps_that_are_no_targets_shape_fail_the_published_loss(context: Context):
    context.folder.mkdir(exist_ok=True)
    right = probing.batch(context)["heatmaps"][:2].astype(np.float64)
    losses = {"tf": np.ones(1), "torch": np.ones(1)}
    check = gradient._published(context, right[:, :1], losses)
    assert check.passed is False
    assert str(check.where).startswith("heatmaps: 2x1x")


def test_a_moment_that_one_twin_lacks_fails_its_step_and_is_named():
    reference = {"a": np.ones(1), "m/a": np.ones(1), "step": np.ones(1)}
    errors = optimizer._apart({"a": np.ones(1), "step": np.ones(2)}, reference)
    assert errors == {
        "a": 0,
        "a (first moment) (missing in tf)": math.inf,
        "step (tf: 2, torch: 1)": math.inf,
    }


def gathered(*batches: tuple[np.ndarray, np.ndarray]) -> gradient.Errors:
    """Return the errors of batches of (torch in float64, Keras in float32); the rest is equal."""
    found = gradient.Errors()
    for exact, rounded in batches:
        right = {"loss": np.ones(1), "grad/a": exact}
        found.add(
            {
                "tf": {"float64": right, "float32": right | {"grad/a": rounded}},
                "torch": {"float64": right, "float32": right},
            }
        )
    return found


def test_one_batch_at_a_kink_does_not_judge_a_gradient():
    ones = np.ones(10)
    one_jumps = gathered(*((ones, ones + (1e-4 if n == 3 else 1e-7)) for n in range(5)))
    assert one_jumps.typical("tf") == {"a": pytest.approx(1e-7, rel=1e-6)}
    assert gathered(*[(ones, ones + 1e-4)] * 5).typical("tf") == {"a": pytest.approx(1e-4)}


def test_gradients_of_batches_are_one_vector():
    batches = [np.array([3.0, 0.0]), np.array([0.0, 4.0])]
    found = gathered(*((exact, exact) for exact in batches))
    assert found.sizes() == {"a": pytest.approx(2.5)}
    assert found.exact() == {"a": 0}
    for twin in ("tf", "torch"):
        assert found.losses[twin] == [1, 1]
    found.squares["a"][0][0] = 1e-20  # Keras is 1e-10 off in the first batch
    assert found.exact() == {"a": pytest.approx(2e-11)}


def test_a_parameter_on_which_the_other_twin_is_lucky_is_judged_by_its_typical_error():
    sizes = {"a": 1.0, "b": 10.0, "c": 1.0}
    theirs = {"a": 1e-6, "b": 1e-5, "c": 1e-9}
    ours = gradient.shares({"a": 1e-6, "b": 1e-5, "c": 1e-6}, theirs, sizes)
    assert ours == pytest.approx(dict.fromkeys(sizes, 1 / 4.1))
    bf16 = gradient.shares({"a": 1e-6, "b": 1e-5, "c": 4e-3}, theirs, sizes)
    assert max(bf16, key=bf16.__getitem__) == "c"
    assert bf16["c"] > 900


def test_a_gradient_of_zero_has_to_be_zero():
    sizes, theirs = {"a": 1.0, "dead": 0.0}, {"a": 1e-6, "dead": 0.0}
    assert gradient.shares({"a": 1e-6, "dead": 0.0}, theirs, sizes)["dead"] == 0
    assert gradient.shares({"a": 1e-6, "dead": 1e-30}, theirs, sizes)["dead"] == math.inf


def test_every_joint_of_the_probe_set_is_seen_and_each_sample_has_hidden_ones():
    found = probing.hidden(np.ones((4, 17), np.float32))
    assert found.dtype == np.float32
    assert (found[:2].max(axis=0) == 1).all()
    assert [int(row.sum()) for row in found] == [11, 12, 11, 11]
    assert probing.hidden(np.zeros((2, 17), np.float32)).max() == 0


def test_a_probe_set_where_everybody_is_labelled_still_weighs_the_loss(context: Context):
    context.folder.mkdir(exist_ok=True)
    given = probing.batch(context)
    assert len(given["images"]) == probing.STEP_SAMPLES
    pairs = given["weights"].reshape(-1, probing.GRADIENT_BATCH, 17)
    assert (pairs.min(axis=(1, 2)) == 0).all()
    assert (pairs.max(axis=(1, 2)) == 1).all()


def test_the_part_of_a_name_chooses_arrays():
    arrays = {"grad/a/b": np.ones(1), "gradient": np.ones(1), "own/a": np.ones(1)}
    assert list(probing.part(arrays, "grad")) == ["a/b"]


def test_the_written_rates_are_as_many_as_the_losses_and_fall():
    for rates in (optimizer._step_rates(), optimizer._plateau_rates()):
        assert len(rates) == len(optimizer.LOSSES)
        assert rates == sorted(rates, reverse=True)
        assert len(set(rates)) > 2
    assert len(optimizer.RATES) == optimizer.STEPS


def test_every_child_that_trains_has_onednn(context: Context):
    told: list[dict[str, str]] = []

    class Asked(Context):
        def call(self, who, entry, payload, *, threads=None, env=None):
            told.append(dict(env or {}))
            return {"step": optimizer._step_rates(), "plateau": optimizer._plateau_rates()}

    assert all(check.passed for check in optimizer.schedules(Asked(**vars(context))))
    assert told == [environment.ONEDNN] * 2


def test_moments_are_named_as_such():
    assert optimizer._readable("m/conv1.weight") == "conv1.weight (first moment)"
    assert optimizer._readable("v/conv1.weight") == "conv1.weight (second moment)"
    assert optimizer._readable("maxpool.weight") == "maxpool.weight"


def test_an_error_that_json_could_not_carry_fails_a_step_instead_of_ending_the_climb():
    assert told(0.25) == 0.25
    check = within("fp64 step 1", optimizer._told({"a": 0.0, "b": None}), optimizer.EXACT, "")
    assert (check.passed, check.measured, check.where) == (False, math.inf, "b")


def test_a_follower_whose_leader_has_ended_fails_instead_of_waiting(tmp_path: Path):
    state, ended = tmp_path / "state_1", tmp_path / "lead.ended"
    ended.touch()
    with pytest.raises(RuntimeError, match="lead"):
        optimizer._await(state.exists, ended)
    state.touch()
    optimizer._await(state.exists, ended)


def test_a_leader_that_crashes_ends_the_walk_with_its_own_reason(context: Context):
    context.folder.mkdir(exist_ok=True)
    (context.folder / "steps").mkdir(exist_ok=True)

    class Crashing(Context):
        def call(self, who, entry, payload, **options):
            if entry.endswith("lead"):
                raise ChildFailed("killed by SIGSEGV")
            optimizer._await(lambda: False, self.folder / "steps" / "lead.ended")

    crashing = Crashing(**vars(context))
    save(crashing.weights, initial(architecture.build(crashing.recipe.model), 0))
    with pytest.raises(ChildFailed, match="SIGSEGV"):
        optimizer._walk(crashing, 2)
