"""The PyTorch twin is the described network, with the constants that both twins share."""

from __future__ import annotations

import numpy as np
import pytest
import twins

torch = pytest.importorskip("torch")

from pose import architecture, recipe, weights  # noqa: E402
from torch_impl import data, model, train  # noqa: E402

NETWORKS = twins.one_of_each_network()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_macs_and_names_are_those_described(name: str) -> None:
    resolved = NETWORKS[name]
    described = architecture.build(resolved.model)
    net = model.build(resolved)
    assert model.count_parameters(net) == described.parameters
    assert model.count_macs(net, resolved.model.input_size) == described.macs
    assert {name: value.shape for name, value in model.read_weights(net).items()} == described.shapes()


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_the_body_computes_what_torchvisions_does(backbone: str) -> None:
    """Whose weights it loads: outputs and gradients of every parameter, bit for bit."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    model_ = recipe.Model.model_validate({"backbone": backbone, "input_size": (64, 64)})
    ours = model.PoseNet(model_).train()
    theirs = getattr(torchvision.models, backbone)(weights=None).train()
    state = theirs.state_dict()
    ours.load_state_dict({name: value for name, value in state.items() if name[:3] != "fc."}, strict=False)
    images = torch.randn(2, 3, 64, 64)
    found = []
    for body in (ours, theirs):
        x = body.maxpool(body.relu(body.bn1(body.conv1(images))))
        x = body.layer4(body.layer3(body.layer2(body.layer1(x))))
        x.square().mean().backward()
        slopes = {name: value.grad for name, value in body.named_parameters() if value.grad is not None}
        found.append(slopes | {"output": x.detach()})
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) > 60
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[1])


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
    norms = [m for m in model.build(twins.tiny()).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(m.eps, round(1 - m.momentum, 6)) for m in norms} == {
        (architecture.BN_EPSILON, architecture.BN_MOMENTUM)
    }


@pytest.mark.parametrize("training", [True, False])
def test_training_on_a_cpu_is_in_the_layout_whose_sums_lose_no_digits(training: bool) -> None:
    net, given = model.build(twins.tiny()).train(training), []
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    net(torch.from_numpy(twins.noisy_batch(twins.tiny(), 2)[0]))
    assert all(x.is_contiguous() for x in given) is training


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
        found[kind] = (type(optimizer), optimizer.defaults["eps"], net.bn1.eps, net.bn1.momentum)
    assert found["aligned"][1:] == pytest.approx(found["stock"][1:])
    assert found["stock"] == (torch.optim.Adam, 1e-8, 1e-5, pytest.approx(0.1, rel=1e-15))


@pytest.mark.parametrize("kind", ["aligned", "stock"])
def test_the_rate_that_was_asked_for_is_used(kind: str) -> None:
    resolved = twins.tiny(optimizer=kind)
    net = model.build(resolved)
    optimizer = train.make_optimizer(net, kind)
    train.make_step(net, optimizer)(data.Batch(*twins.noisy_batch(resolved, 2)), 3e-4)
    assert train.read_rate(optimizer) == pytest.approx(3e-4, rel=1e-7)
