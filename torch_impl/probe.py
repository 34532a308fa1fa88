"""The PyTorch twin as the parity ladder sees it: forward, gradients, one step, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pose import recipe, training, weights
from pose.training_section import Training
from torch_impl import data, model, train


def _channels_last(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (given[0].contiguous(memory_format=torch.channels_last),)


class Probe:
    """One network with its optimizer in `float32` or `float64`, on the CPU.

    `setup` of torch_impl.train is called once a process, before the first probe. The network
    trains in contiguous NCHW; the variant `other_layout` makes it channels_last.
    """

    def __init__(self, recipe_: recipe.Recipe, precision: str, variant: str | None = None):
        self.precision = precision
        self.net = model.build(recipe_, "cpu", precision)
        if variant == "other_layout":
            self.net.conv1.register_forward_pre_hook(_channels_last)
        self.optimizer = train.make_optimizer(self.net, recipe_.training.optimizer)
        self.update = train.make_step(self.net, self.optimizer)

    def load(self, canonical: weights.Weights) -> None:
        """Copy canonical weights into the network."""
        model.load_weights(self.net, canonical)

    def read(self) -> weights.Weights:
        """Return parameters and running statistics in canonical form, in the probe's precision."""
        return model.read_weights(self.net, self.precision)

    def forward(self, images: np.ndarray, *, training: bool) -> np.ndarray:
        """Return heatmaps (N, K, h, w) of images (N, H, W, 3) uint8.

        In training mode batch statistics normalise, and the running ones move.
        """
        self.net.train(training)
        with torch.no_grad():
            return self.net(torch.from_numpy(images)).numpy()

    def gradients(self, batch: data.Batch) -> tuple[float, weights.Weights]:
        """Return the loss of a batch in training mode and its gradient by canonical parameter name."""
        loss = train.gradients(self.net, self._cast(batch))
        named = self.net.named_parameters()
        return loss.item(), {name: parameter.grad.contiguous().numpy().copy() for name, parameter in named}

    def step(self, batch: data.Batch, lr: float) -> float:
        """Train on one batch at a learning rate and return its loss."""
        return self.update(self._cast(batch), lr)

    def state(self) -> weights.Weights:
        """Return weights, and moments (m/NAME, v/NAME) and step count of the optimizer."""
        return self.read() | train.read_optimizer(self.net, self.optimizer)

    def restore(self, state: weights.Weights) -> None:
        """Put back what `state` returned; weights alone mean an optimizer that has not stepped."""
        self.load({name: value for name, value in state.items() if not name.startswith(("m/", "v/", "step"))})
        names = [name for name, _ in self.net.named_parameters()]
        fresh = {f"{kind}/{name}": np.zeros_like(state[name]) for kind in "mv" for name in names}
        train.load_optimizer(self.net, self.optimizer, {"step": np.zeros(1, np.float32)} | fresh | state)

    def rates(self, of: Training, batch: data.Batch, losses: Sequence[float]) -> list[float]:
        """Return the learning rate that the optimizer used in each epoch, given validation losses.

        `of` has the schedule; the network steps on from where it is.
        """
        progress, used = training.start(of), []
        for epoch, loss in enumerate(losses, 1):
            self.step(batch, progress.lr)
            used.append(train.read_rate(self.optimizer))
            progress = training.advance(progress, of, {"epoch": epoch, "val_loss": loss, "ap": 0.0})
        return used

    def _cast(self, batch: data.Batch) -> data.Batch:
        return replace(
            batch,
            heatmaps=batch.heatmaps.astype(self.precision),
            weights=batch.weights.astype(self.precision),
        )
