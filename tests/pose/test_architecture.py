"""The description of the network: published counts, torchvision's names."""

from __future__ import annotations

import math

import pytest

from pose import architecture, training
from pose.recipe import Model


def build(backbone="resnet50", size=(192, 256), **options) -> architecture.Architecture:
    return architecture.build(Model(backbone=backbone, input_size=size, **options))


@pytest.mark.parametrize(
    ("backbone", "parameters", "macs"),
    [
        ("resnet50", 33_999_697, 5_426_380_800),
        ("resnet101", 52_991_825, 9_062_842_368),
        ("resnet152", 68_635_473, 12_699_303_936),
    ],
)
def test_parameters_and_multiply_adds_are_the_published_ones(backbone, parameters, macs):
    """Parameters: the official code's model summaries. Multiply-adds: real ones, at 256x192."""
    built = build(backbone)
    assert built.parameters == parameters
    assert built.macs == macs


def test_the_larger_input_costs_what_it_should():
    larger, reference = build(size=(288, 384)), build()
    assert larger.parameters == reference.parameters
    # Every size divides by 32 exactly, so the cost goes with the area.
    assert larger.macs == reference.macs * 9 // 4 == 12_209_356_800


def test_the_light_network_is_the_one_of_the_demo():
    built = build("resnet18", (96, 128), deconv_channels=64)
    assert built.parameters == pytest.approx(11.8e6, rel=0.005)
    assert built.macs == pytest.approx(0.467e9, rel=0.005)


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [
        ("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032),
        ("resnet101", 44_549_160), ("resnet152", 60_192_808),
    ],
)  # fmt: skip
def test_the_body_has_torchvisions_parameters(backbone, parameters):
    """Counts of torchvision's documentation, which include a classifier of 1000 classes."""
    stages = {stage.name: stage for stage in build(backbone).stages}
    head = ("deconv_layers", "final_layer")
    body = sum(stage.parameters for name, stage in stages.items() if name not in head)
    features = 512 if backbone in ("resnet18", "resnet34") else 2048
    assert body + (features + 1) * 1000 == parameters


def test_names_and_shapes_are_torchvisions_and_the_official_heads():
    shapes = build().shapes()
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["bn1.running_var"] == (64,)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer4.2.conv3.weight"] == (2048, 512, 1, 1)
    assert shapes["deconv_layers.0.weight"] == (2048, 256, 4, 4)
    assert shapes["deconv_layers.3.weight"] == (256, 256, 4, 4)
    assert shapes["deconv_layers.7.bias"] == (256,)
    assert shapes["final_layer.weight"] == (17, 256, 1, 1)
    assert shapes["final_layer.bias"] == (17,)
    assert "layer1.1.downsample.0.weight" not in shapes
    assert "deconv_layers.0.bias" not in shapes
    assert "layer1.0.downsample.0.weight" not in build("resnet18").shapes()


def test_the_stride_sits_in_the_3x3_convolution():
    convs = {conv.name: conv for stage in build().stages for conv in stage.convs}
    strided = {name for name, conv in convs.items() if conv.stride == 2 and not conv.transposed}
    assert strided == {"conv1"} | {
        f"layer{n}.0.{leaf}" for n in (2, 3, 4) for leaf in ("conv2", "downsample.0")
    }


@pytest.mark.parametrize("backbone", sorted(architecture.BLOCKS))
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_output_is_as_large_as_the_recipes_heatmaps(backbone, layers):
    model = Model(backbone=backbone, input_size=(160, 224), deconv_layers=layers, deconv_channels=32)
    last = architecture.build(model).stages[-1].convs[-1]
    assert (last.out_size[1], last.out_size[0]) == model.heatmap_size
    assert last.out_channels == 17


def test_trainable_parameters_are_the_shapes_less_the_running_statistics():
    built = build("resnet34", deconv_layers=2)
    trainable = {name: shape for name, shape in built.shapes().items() if "running" not in name}
    assert sum(math.prod(shape) for shape in trainable.values()) == built.parameters
    assert sum(stage.macs for stage in built.stages) == built.macs


def test_constants_are_torchs_and_the_official_codes():
    """torch.nn.BatchNorm2d's defaults (its momentum is the share taken), ImageNet's statistics."""
    assert (architecture.BN_EPSILON, architecture.BN_MOMENTUM) == (1e-5, 1 - 0.1)
    assert (training.ADAM_BETAS, training.ADAM_EPSILON) == ((0.9, 0.999), 1e-8)
    assert architecture.IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert architecture.IMAGENET_STD == (0.229, 0.224, 0.225)
