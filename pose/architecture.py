"""A frozen description of the network: what both twins build, and what it costs.

ResNet (He et al. 2016) with the stride in the 3x3 convolution, then transposed convolutions
and a 1x1 convolution (Xiao et al. 2018, section 3). Names are torchvision's for the body and
the official Simple Baselines code's for the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from pose import recipe
from pose.skeleton import NUM_JOINTS

BLOCKS = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}
EXPANSION = {"basic": 1, "bottleneck": 4}

BN_EPSILON = 1e-5
BN_MOMENTUM = 0.9
"""Share of the old running value that one training step keeps (torch calls 0.1 its momentum)."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HEAD_STD = 0.001
"""Standard deviation of the head's initial weights (Xiao et al. 2018, code)."""


@dataclass(frozen=True)
class Conv:
    """One (transposed) convolution: its parameter's name and its geometry. Sizes are (height, width)."""

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    pad: int
    in_size: tuple[int, int]
    transposed: bool = False
    bias: bool = False

    @property
    def out_size(self) -> tuple[int, int]:
        """Return (height, width) of the output."""
        if self.transposed:
            return self.in_size[0] * self.stride, self.in_size[1] * self.stride
        h, w = ((side + 2 * self.pad - self.kernel) // self.stride + 1 for side in self.in_size)
        return h, w

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Return the canonical shape: OIHW, and IOHW when transposed."""
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        return first, second, self.kernel, self.kernel

    @property
    def macs(self) -> int:
        """Return multiply-adds of one image: every weight once per position that it is applied at.

        A transposed convolution applies its kernel at each input position.
        """
        return prod(self.in_size if self.transposed else self.out_size) * prod(self.weight_shape)


@dataclass(frozen=True)
class Norm:
    """A batch normalisation over `channels`, named as its parameters' prefix."""

    name: str
    channels: int


@dataclass(frozen=True)
class NetworkStage:
    """A named run of layers: stem, layer1 to layer4, deconv_layers or final_layer."""

    name: str
    convs: tuple[Conv, ...]
    norms: tuple[Norm, ...]

    @property
    def parameters(self) -> int:
        """Return the number of trainable parameters."""
        weights = sum(prod(c.weight_shape) + (c.out_channels if c.bias else 0) for c in self.convs)
        return weights + sum(2 * n.channels for n in self.norms)

    @property
    def macs(self) -> int:
        """Return multiply-adds of one image."""
        return sum(c.macs for c in self.convs)


@dataclass(frozen=True)
class Architecture:
    """The whole network for one input size (height, width)."""

    stages: tuple[NetworkStage, ...]

    @property
    def parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(s.parameters for s in self.stages)

    @property
    def macs(self) -> int:
        """Return multiply-adds of one image (convolutions; bias and batch norm fold away)."""
        return sum(s.macs for s in self.stages)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return canonical parameter names and shapes, running statistics included."""
        found: dict[str, tuple[int, ...]] = {}
        for stage in self.stages:
            for conv in stage.convs:
                found[f"{conv.name}.weight"] = conv.weight_shape
                if conv.bias:
                    found[f"{conv.name}.bias"] = (conv.out_channels,)
            for norm in stage.norms:
                for leaf in ("weight", "bias", "running_mean", "running_var"):
                    found[f"{norm.name}.{leaf}"] = (norm.channels,)
        return found


def build(model: recipe.Model) -> Architecture:
    """Return the description of the recipe's network."""
    width, height = model.input_size
    stem = Conv("conv1", 3, 64, 7, 2, 3, (height, width))
    stages = [NetworkStage("stem", (stem,), (Norm("bn1", 64),))]
    block, depths = BLOCKS[model.backbone]
    size, channels = (height // 4, width // 4), 64
    for number, depth in enumerate(depths, 1):
        stride = 1 if number == 1 else 2
        stage = _body_stage(block, number, depth, channels, stride, size)
        stages.append(stage)
        size = (size[0] // stride, size[1] // stride)
        channels = 64 * 2 ** (number - 1) * EXPANSION[block]
    head = []
    for i in range(model.deconv_layers):
        head.append(
            Conv(f"deconv_layers.{3 * i}", channels, model.deconv_channels, 4, 2, 1, size, transposed=True)
        )
        size, channels = head[-1].out_size, model.deconv_channels
    norms = tuple(Norm(f"deconv_layers.{3 * i + 1}", channels) for i in range(model.deconv_layers))
    stages.append(NetworkStage("deconv_layers", tuple(head), norms))
    stages.append(
        NetworkStage(
            "final_layer", (Conv("final_layer", channels, NUM_JOINTS, 1, 1, 0, size, bias=True),), ()
        )
    )
    return Architecture(tuple(stages))


def _body_stage(
    block: str, number: int, depth: int, channels: int, stride: int, size: tuple[int, int]
) -> NetworkStage:
    convs: list[Conv] = []
    norms: list[Norm] = []
    planes = 64 * 2 ** (number - 1)
    for index in range(depth):
        first = stride if index == 0 else 1
        prefix = f"layer{number}.{index}"
        main = _branch(block, prefix, channels, planes, first, size)
        out = planes * EXPANSION[block]
        convs += main
        norms += [Norm(f"{prefix}.bn{i}", c.out_channels) for i, c in enumerate(main, 1)]
        if first != 1 or channels != out:
            convs.append(Conv(f"{prefix}.downsample.0", channels, out, 1, first, 0, size))
            norms.append(Norm(f"{prefix}.downsample.1", out))
        size, channels = main[-1].out_size, out
    return NetworkStage(f"layer{number}", tuple(convs), tuple(norms))


def _branch(
    block: str, prefix: str, channels: int, planes: int, stride: int, size: tuple[int, int]
) -> list[Conv]:
    """Return the convolutions of a block's main branch; the stride sits in a 3x3."""
    shrunk = (size[0] // stride, size[1] // stride)
    if block == "basic":
        return [
            Conv(f"{prefix}.conv1", channels, planes, 3, stride, 1, size),
            Conv(f"{prefix}.conv2", planes, planes, 3, 1, 1, shrunk),
        ]
    return [
        Conv(f"{prefix}.conv1", channels, planes, 1, 1, 0, size),
        Conv(f"{prefix}.conv2", planes, planes, 3, stride, 1, size),
        Conv(f"{prefix}.conv3", planes, 4 * planes, 1, 1, 0, shrunk),
    ]
