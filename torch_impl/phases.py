"""What the bench times of training in PyTorch: the step and its parts, and what a loader says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pose import architecture, recipe, weights
from torch_impl import data, model, runner, train


class Steps:
    """The twin's own step, from given weights, set up as `twinpose train` does: deterministic, TF32 off.

    The runner's switches are set too: no train cell has the lane `defaults`.

    Each part ends with its loss on the host, so with a device that has finished. A part holds all that
    comes before it: `forward` the way to the device, `backward` the forward, `step` both.
    """

    def __init__(self, recipe_: recipe.Recipe, initial: Path, device: str, threads: int):
        train.setup(device, threads)
        runner.set_strict_fp32()
        self.recipe, self.lr = recipe_, recipe_.training.learning_rate
        self.net = model.build(recipe_, device, recipe_.training.precision)
        model.load_weights(self.net, weights.load(initial, architecture.build(recipe_.model)))
        self.optimizer = train.make_optimizer(self.net, recipe_.training.optimizer)
        self.update = train.make_step(self.net, self.optimizer)
        self.device = self.net.final_layer.weight.device

    def transfer(self, batch: data.Batch) -> None:
        """Bring a batch from host memory to the device."""
        self._arrays(batch)
        self._synchronize()

    def forward(self, batch: data.Batch) -> float:
        """Return the loss of a batch in training mode; what a backward pass would need is kept till then."""
        images, target, joint_weights = self._arrays(batch)
        self.net.train()
        mixed = self.net.precision == "mixed_bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            predicted = self.net(images)
        return train.weighted_loss(predicted.to(target.dtype), target, joint_weights).item()

    def backward(self, batch: data.Batch) -> float:
        """Return the loss of a batch in training mode when its gradients are there too."""
        loss = train.gradients(self.net, batch).item()
        self._synchronize()
        return loss

    def step(self, batch: data.Batch) -> float:
        """Train on one batch at the recipe's first learning rate and return its loss."""
        return self.update(batch, self.lr)

    def device_memory_bytes(self) -> int | None:
        """Return the most memory that tensors have held on the GPU; None on the CPU."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    def effective(self) -> dict[str, Any]:
        """Return what torch says it does, read back."""
        on_gpu = self.device.type == "cuda"
        return {
            "runtime": f"torch {torch.__version__}",
            "mode": "eager",
            "precision": self.net.precision,
            "parameters": str(self.net.final_layer.weight.dtype).removeprefix("torch."),
            "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
            "switches": runner.switches(),
            "onednn": runner.onednn(),
            "deterministic": torch.are_deterministic_algorithms_enabled()
            or torch.backends.cudnn.deterministic,
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "optimizer": self.recipe.training.optimizer,
        }

    def _arrays(self, batch: data.Batch) -> tuple[Tensor, ...]:
        arrays = (batch.images, batch.heatmaps, batch.weights)
        return tuple(torch.from_numpy(a).to(self.device, non_blocking=True) for a in arrays)

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def describe(loader: data.Loader) -> dict[str, Any]:
    """Return how a loader makes its batches, read back from torch."""
    made = loader.loader
    return {
        "runtime": f"torch {torch.__version__}",
        "loader": "torch.utils.data.DataLoader",
        "workers": made.num_workers,
        "workers_are": "processes" if made.num_workers else "the process that trains",
    }
