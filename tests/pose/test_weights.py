"""Canonical weights: made from a seed, checked by name, read from published files."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from pose import architecture, weights
from pose.errors import UserError
from pose.recipe import Model

FIRST = architecture.Conv("conv1", 3, 8, 3, 1, 1, (8, 8))
LAST = architecture.Conv("final_layer", 8, 17, 1, 1, 0, (8, 8), bias=True)
TINY = architecture.Architecture(
    (
        architecture.NetworkStage("stem", (FIRST,), (architecture.Norm("bn1", 8),)),
        architecture.NetworkStage("final_layer", (LAST,), ()),
    )
)
BODY = ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]


@pytest.fixture(autouse=True)
def _drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each time, where drawing is the subject."""
    for name in ("initial", "generic"):
        monkeypatch.setattr(weights, name, getattr(weights, name).__wrapped__)


@pytest.fixture
def made() -> weights.Weights:
    return weights.initial(TINY, seed=0)


def test_initial_weights_depend_on_the_seed_alone(made):
    assert weights.fingerprint(weights.initial(TINY, 0)) == weights.fingerprint(made)
    assert weights.fingerprint(weights.initial(TINY, 1)) != weights.fingerprint(made)


def test_initial_weights_have_the_published_distributions():
    built = architecture.build(Model(backbone="resnet18", input_size=(64, 64), deconv_channels=32))
    made = weights.initial(built, seed=0)
    assert list(made) == list(built.shapes())
    assert all(value.dtype == np.float32 for value in made.values())
    # He et al. 2015, fan-out: torchvision's.
    assert made["layer2.0.conv1.weight"].std() == pytest.approx(np.sqrt(2 / (128 * 9)), rel=0.02)
    assert made["deconv_layers.3.weight"].std() == pytest.approx(0.001, rel=0.05)
    assert made["final_layer.weight"].std() == pytest.approx(0.001, rel=0.2)
    for name, value in {"bn1.weight": 1, "bn1.running_var": 1, "bn1.bias": 0, "bn1.running_mean": 0}.items():
        assert (made[name] == value).all()
    assert (made["final_layer.bias"] == 0).all()


def test_a_tensor_does_not_depend_on_the_others():
    head = architecture.Architecture(TINY.stages[1:])
    alone = weights.initial(head, 0)["final_layer.weight"]
    assert np.array_equal(alone, weights.initial(TINY, 0)["final_layer.weight"])


def test_the_first_release_made_these_weights(made):
    expected = [-0.08223701, -0.0435744, -0.01053334, -0.29472205]
    assert made["conv1.weight"].reshape(-1)[:4] == pytest.approx(expected, rel=1e-5)


def test_check_returns_float32_in_canonical_order(made):
    shuffled = {name: made[name].astype(np.float64) for name in sorted(made, reverse=True)}
    checked = weights.check(shuffled, TINY, "w")
    assert list(checked) == list(made)
    assert all(value.dtype == np.float32 and value.flags.c_contiguous for value in checked.values())


@pytest.mark.parametrize("name", [*BODY, "final_layer.weight", "final_layer.bias"])
def test_check_names_a_missing_misshapen_or_non_finite_tensor(made, name):
    with pytest.raises(UserError, match=f"w lacks the tensor '{name}'"):
        weights.check({key: value for key, value in made.items() if key != name}, TINY, "w")
    with pytest.raises(UserError, match=f"w: tensor '{name}' has shape .*; the recipe's model expects"):
        weights.check(made | {name: np.zeros((*made[name].shape, 2))}, TINY, "w")
    for bad in (np.nan, np.inf):
        spoilt = made[name].copy()
        spoilt.flat[-1] = bad
        with pytest.raises(UserError, match=f"w: tensor '{name}' holds numbers that are not finite"):
            weights.check(made | {name: spoilt}, TINY, "w")


def test_check_names_an_extra_tensor(made):
    with pytest.raises(UserError, match=r"w has the tensor 'fc\.weight', which the recipe's model does not"):
        weights.check(made | {"fc.weight": np.zeros(3)}, TINY, "w")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_names_become_canonical(made, prefix):
    published = {prefix + name: value for name, value in made.items()}
    published |= {f"{prefix}fc.weight": np.zeros((1000, 8)), f"{prefix}fc.bias": np.zeros(1000)}
    published[f"{prefix}bn1.num_batches_tracked"] = np.array(5)
    found = weights.canonical_names(published)
    assert found.keys() == made.keys()
    assert all(np.array_equal(found[name], made[name]) for name in made)


def test_overlay_replaces_the_body_and_keeps_the_head(made):
    body = {name: made[name] + 1 for name in BODY}
    merged = weights.overlay(made, body, "w")
    assert all(np.array_equal(merged[name], made[name] + 1) for name in BODY)
    assert np.array_equal(merged["final_layer.weight"], made["final_layer.weight"])
    with pytest.raises(UserError, match=r"w lacks the tensor 'bn1\.bias'"):
        weights.overlay(made, {name: body[name] for name in BODY if name != "bn1.bias"}, "w")
    with pytest.raises(UserError, match=r"w has the tensor 'layer9\.weight'"):
        weights.overlay(made, body | {"layer9.weight": np.zeros(1)}, "w")
    with pytest.raises(UserError, match=r"tensor 'bn1\.bias' has shape \(9,\); expected \(8,\)"):
        weights.overlay(made, body | {"bn1.bias": np.zeros(9)}, "w")


def test_weights_come_back_from_their_file(made, tmp_path):
    weights.save(tmp_path / "w.safetensors", made, {"epoch": 3, "ap": 0.25, "names": ["a"]})
    found, metadata = weights.read_with_metadata(tmp_path / "w.safetensors")
    assert metadata == {"epoch": 3, "ap": 0.25, "names": ["a"]}
    assert weights.fingerprint(found) == weights.fingerprint(made)
    assert weights.fingerprint(weights.load(tmp_path / "w.safetensors", TINY)) == weights.fingerprint(made)


def test_equal_content_gives_equal_bytes_and_a_scalar_keeps_its_shape(made):
    """A checksum of a file is a checksum of its weights; safetensors alone shuffles its metadata."""
    metadata = {name: name for name in "abcdef"}
    assert len({weights.to_bytes(made, metadata) for _ in range(20)}) == 1
    assert safetensors.numpy.load(weights.to_bytes({"step": np.array(3)}))["step"].shape == ()


def test_a_file_of_another_program_is_read_without_its_metadata(made, tmp_path):
    safetensors.numpy.save_file(made, tmp_path / "w.safetensors", {"format": "pt"})
    found, metadata = weights.read_with_metadata(tmp_path / "w.safetensors")
    assert metadata == {}
    assert weights.fingerprint(found) == weights.fingerprint(made)


@settings(max_examples=60)
@given(cut=st.integers(0, 10**6))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path_factory, cut):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    whole = weights.to_bytes(weights.initial(TINY, 0), {"epoch": 1})
    path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(UserError, match=r"cannot read weights from .*cut\.safetensors"):
        weights.read(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a whole safetensors file"):
        weights.read(tmp_path / "none.safetensors")


def test_the_fingerprint_knows_names_shapes_and_values(made):
    base = weights.fingerprint(made)
    assert weights.fingerprint(dict(reversed(made.items()))) == base
    changed = made | {"bn1.bias": made["bn1.bias"] + np.float32(1e-7)}
    reshaped = made | {"bn1.bias": made["bn1.bias"].reshape(2, 4)}
    renamed = {("x" if name == "bn1.bias" else name): value for name, value in made.items()}
    assert len({base, *map(weights.fingerprint, (changed, reshaped, renamed))}) == 4
