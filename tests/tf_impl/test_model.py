"""The Keras twin is the described network, with the constants that both twins share."""

from __future__ import annotations

import numpy as np
import pytest
import twins

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from pose import architecture, recipe, weights
from tf_impl import data, model, train

NETWORKS = twins.one_of_each_network()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_macs_and_names_are_those_described(name: str) -> None:
    resolved = NETWORKS[name]
    described = architecture.build(resolved.model)
    net = model.build(resolved)
    assert model.count_parameters(net) == described.parameters
    assert model.count_macs(net, resolved.model.input_size) == described.macs
    assert {name: value.shape for name, value in model.read_weights(net).items()} == described.shapes()


def test_weights_survive_the_twin_bit_for_bit() -> None:
    resolved = twins.tiny()
    rng = np.random.default_rng(1)
    shapes = architecture.build(resolved.model).shapes()
    canonical = {name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}
    net = model.build(resolved)
    model.load_weights(net, canonical)
    back = model.read_weights(net)
    assert all(np.array_equal(canonical[name], back[name]) for name in shapes)


def test_every_batch_norm_has_the_shared_constants() -> None:
    norms = [
        layer
        for layer in model.build(twins.tiny()).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {type(layer) for layer in norms} == {model.BatchNorm}
    assert {(m.epsilon, m.momentum) for m in norms} == {(architecture.BN_EPSILON, architecture.BN_MOMENTUM)}


def _normalised(dtype: str, shape: tuple[int, ...], by_keras: bool = False) -> list[np.ndarray]:
    """Return outputs of a seeded batch norm, and gradients of its input, scale and shift."""
    rng = np.random.default_rng(0)
    drawn = [rng.normal(0.5, 1, shape), rng.normal(1, 0.1, shape[-1:]), rng.normal(0, 0.1, shape[-1:])]
    given = [tf.constant(value.astype(np.float32), dtype) for value in drawn]
    upstream = tf.constant(rng.normal(0.1, 1, shape).astype(np.float32), dtype)
    with tf.GradientTape() as tape:
        tape.watch(given)
        if by_keras:
            x, gamma, beta = given
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            y = tf.nn.batch_normalization(x, mean, variance, beta, gamma, architecture.BN_EPSILON)
        else:
            y, *_ = model._normalise_batch(*given, architecture.BN_EPSILON)
    return [value.numpy() for value in (y, *tape.gradient(y, given, upstream))]


def _apart(values: np.ndarray, reference: np.ndarray) -> float:
    return float(np.linalg.norm(values - reference.astype(np.float64)) / np.linalg.norm(reference))


def test_the_written_gradient_of_batch_norm_is_the_one_that_tensorflow_derives() -> None:
    ours, derived = (_normalised("float64", (3, 6, 5, 4), by_keras) for by_keras in (False, True))
    assert max(map(_apart, ours, derived)) < 1e-13


def test_batch_norm_of_a_large_map_loses_no_digits() -> None:
    # TensorFlow's own sums are off by 1e-6 (outputs) and 3e-5 (gradient of the scale).
    shape = (8, 128, 96, 16)
    errors = list(map(_apart, _normalised("float32", shape), _normalised("float64", shape)))
    assert max(errors[:2]) < 3e-7
    assert max(errors[2:]) < 3e-6


def test_bgr_is_rgb_with_the_channels_swapped() -> None:
    rgb, bgr = (
        model.build(recipe.from_dict(twins.TINY | {"data": {"channel_order": order}}))
        for order in ("rgb", "bgr")
    )
    canonical = weights.initial(architecture.build(twins.tiny().model), 0)
    images = twins.noisy_batch(twins.tiny(), 2)[0]
    model.load_weights(rgb, canonical)
    model.load_weights(bgr, canonical)
    swapped = train.make_infer(bgr)(np.ascontiguousarray(images[..., ::-1]))
    assert np.array_equal(train.make_infer(rgb)(images), swapped)
    assert not np.array_equal(train.make_infer(bgr)(images), swapped)


@pytest.mark.parametrize("precision", ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_a_few_steps_lower_the_loss(precision: str) -> None:
    resolved = twins.tiny(precision=precision)
    net = model.build(resolved, "cpu", precision)
    model.load_weights(net, weights.initial(architecture.build(resolved.model), 0))
    step = train.make_step(net, train.make_optimizer(net))
    batch = data.Batch(*twins.noisy_batch(resolved, 8))
    losses = [step(batch, 1e-3) for _ in range(12)]
    assert losses[-1] < 0.95 * losses[0]
    assert {v.dtype for v in model.read_weights(net).values()} == {np.dtype("float32")}


def test_the_optimizer_state_survives_a_round_trip() -> None:
    resolved = twins.tiny()
    net = model.build(resolved)
    model.load_weights(net, weights.initial(architecture.build(resolved.model), 0))
    optimizer = train.make_optimizer(net)
    train.make_step(net, optimizer)(data.Batch(*twins.noisy_batch(resolved, 4)), 1e-3)
    kept = train.read_optimizer(net, optimizer)
    fresh = train.make_optimizer(net)
    train.load_optimizer(net, fresh, kept)
    again = train.read_optimizer(net, fresh)
    assert kept.keys() == again.keys()
    assert kept["step"] == 1
    assert all(np.array_equal(kept[name], again[name]) for name in kept)


def test_stock_means_the_frameworks_own_defaults() -> None:
    found = {}
    for kind in ("aligned", "stock"):
        net = model.build(twins.tiny(optimizer=kind))
        optimizer = train.make_optimizer(net, kind)
        found[kind] = (type(optimizer), net.get_layer("bn1").epsilon, net.get_layer("bn1").momentum)
    assert found == {
        "aligned": (train.Adam, 1e-5, 0.9),
        "stock": (keras.optimizers.Adam, 1e-3, 0.99),
    }


@pytest.mark.parametrize("kind", ["aligned", "stock"])
def test_the_rate_that_was_asked_for_is_used(kind: str) -> None:
    resolved = twins.tiny(optimizer=kind)
    net = model.build(resolved)
    optimizer = train.make_optimizer(net, kind)
    train.make_step(net, optimizer)(data.Batch(*twins.noisy_batch(resolved, 2)), 3e-4)
    assert train.read_rate(optimizer) == pytest.approx(3e-4, rel=1e-7)
