"""The whole network in PyTorch: a hand-written ResNet with torchvision's names, Simple Baselines' head."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pose import architecture, recipe, weights
from pose.errors import Unsupported
from pose.skeleton import NUM_JOINTS


def _conv(inputs: int, channels: int, kernel: int, stride: int) -> nn.Conv2d:
    """Return a convolution without bias, padded on both sides."""
    return nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """A basic (3x3, 3x3) or bottleneck (1x1, 3x3, 1x1) block; the stride sits in a 3x3."""

    def __init__(self, inputs: int, kind: str, planes: int, stride: int):
        super().__init__()
        if kind == "basic":
            convs = [(planes, 3, stride), (planes, 3, 1)]
        else:
            convs = [(planes, 1, 1), (planes, 3, stride), (4 * planes, 1, 1)]
        self.channels = convs[-1][0]
        self.count, before = len(convs), inputs
        for number, (channels, kernel, step) in enumerate(convs, 1):
            setattr(self, f"conv{number}", _conv(before, channels, kernel, step))
            setattr(self, f"bn{number}", _norm(channels))
            before = channels
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != self.channels:
            self.downsample = nn.Sequential(_conv(inputs, self.channels, 1, stride), _norm(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        for number in range(1, self.count + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            if number < self.count:
                x = self.relu(x)
        x += shortcut
        return self.relu(x)


class PoseNet(nn.Module):
    """uint8 images (N, H, W, 3) RGB -> heatmaps (N, K, H/4, W/4), normalisation inside."""

    def __init__(self, model: recipe.Model, channel_order: str = "rgb", precision: str = "float32"):
        super().__init__()
        self.precision = precision
        self.conv1, self.bn1, self.relu = _conv(3, 64, 7, 2), _norm(64), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        kind, depths = architecture.BLOCKS[model.backbone]
        channels = 64
        for stage, depth in enumerate(depths, 1):
            blocks: list[nn.Module] = []
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                blocks.append(Block(channels, kind, 64 * 2 ** (stage - 1), stride))
                channels = blocks[-1].channels
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.deconv_layers = nn.Sequential(*_head(channels, model))
        self.final_layer = nn.Conv2d(model.deconv_channels, NUM_JOINTS, 1)
        self.swap = channel_order == "bgr"
        constants = {"mean": architecture.IMAGENET_MEAN, "std": architecture.IMAGENET_STD}
        for name, values in constants.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Return images (N, H, W, 3) uint8 as (N, 3, H, W) in the parameters' type."""
        dtype = self.final_layer.weight.dtype
        x = images.to(dtype) / 255
        if self.swap:
            x = x.flip(3)
        x = (x - self.mean.to(dtype)) / self.std.to(dtype)
        return x.permute(0, 3, 1, 2)

    def forward(self, images: Tensor) -> Tensor:
        x = self.normalise(images)  # (N, 3, H, W), channels last in memory
        if self.training and x.device.type == "cpu":
            # There torch's batch norm adds channels_last positions one after another, and loses digits.
            x = x.contiguous()
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = self.maxpool(x)  # (N, 64, H/4, W/4)
        x = self.layer1(x)
        x = self.layer2(x)  # H/8
        x = self.layer3(x)  # H/16
        x = self.layer4(x)  # H/32
        x = self.deconv_layers(x)  # (N, C, H/4, W/4)
        return self.final_layer(x)  # (N, K, H/4, W/4)


def _norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with the shared constants, which are read anew."""
    return nn.BatchNorm2d(channels, eps=architecture.BN_EPSILON, momentum=1 - architecture.BN_MOMENTUM)


def _head(channels: int, model: recipe.Model) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(model.deconv_layers):
        layers += [
            nn.ConvTranspose2d(channels, model.deconv_channels, 4, stride=2, padding=1, bias=False),
            _norm(model.deconv_channels),
            nn.ReLU(inplace=True),
        ]
        channels = model.deconv_channels
    return layers


def build(recipe_: recipe.Recipe, device: str = "cpu", precision: str = "float32") -> PoseNet:
    """Return the twin of a recipe on `device`, in evaluation mode.

    `precision` float32 or mixed_bfloat16 is that of training; parameters are float32 in both.
    float64, parameters included, is what the parity ladder proves the mathematics in. torch's own
    batch norm is the one both twins follow, so `optimizer: stock` builds the same network.

    Raises Unsupported when the device is absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise Unsupported("no CUDA device is visible to torch")
    net = PoseNet(recipe_.model, recipe_.data.channel_order, precision)
    if precision == "float64":
        net = net.double()
    return net.to(device).eval()


def load_weights(model: PoseNet, canonical: weights.Weights) -> None:
    """Copy canonical weights into the model; every parameter and running statistic is set."""
    state = {name: torch.from_numpy(np.array(value)) for name, value in canonical.items()}
    counters = {
        name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")
    }
    model.load_state_dict({**state, **counters}, strict=True)


def read_weights(model: PoseNet, dtype: str = "float32") -> weights.Weights:
    """Return the model's parameters and running statistics in canonical form."""
    wanted = getattr(torch, dtype)
    return {
        name: value.detach().to("cpu", wanted, memory_format=torch.contiguous_format).numpy().copy()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def count_parameters(model: PoseNet) -> int:
    """Return the number of trainable parameters, as torch counts them."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_macs(model: PoseNet, input_size: tuple[int, int]) -> int:
    """Return multiply-adds of one image of `input_size` (width, height), by torch's FlopCounterMode."""
    width, height = input_size
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, height, width, 3, dtype=torch.uint8, device=model.final_layer.weight.device))
    return counter.get_total_flops() // 2
