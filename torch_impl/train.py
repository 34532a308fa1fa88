"""Training in PyTorch: one file, readable from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.contract import Emit
from pose import architecture, checkpoint, evaluate, inference, splits, training, weights
from pose.checkpoint import State
from pose.errors import Unsupported
from pose.files import write_json
from pose.training import TrainingJob
from torch_impl import data, model
from torch_impl.model import PoseNet

Step = Callable[[data.Batch, float], float]


def setup(device: str, threads: int, *, deterministic: bool = True) -> None:
    """Fix the thread count for this process, and for training the order of every sum; TF32 stays off."""
    if device == "cuda" and not torch.cuda.is_available():
        raise Unsupported("no CUDA device is visible to torch")
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    if deterministic:
        torch.use_deterministic_algorithms(device == "cpu")
        # Every element that is read was written: filling memory first costs a tenth of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.deterministic = True


def weighted_loss(predicted: Tensor, target: Tensor, joint_weights: Tensor) -> Tensor:
    """Return the mean over joints of 0.5 x MSE(w p, w t), a scalar; (B, K, h, w) twice and (B, K)."""
    w = joint_weights[:, :, None, None]
    return 0.5 * torch.mean(torch.square(predicted * w - target * w))


def make_optimizer(net: PoseNet, kind: str = "aligned") -> torch.optim.Adam:
    """Return Adam with the suite's constants, whose formula both twins follow; `stock`: torch's defaults."""
    if kind == "stock":
        return torch.optim.Adam(net.parameters(), lr=0.0)
    return torch.optim.Adam(
        net.parameters(), lr=0.0, betas=training.ADAM_BETAS, eps=training.ADAM_EPSILON, fused=True
    )


def read_rate(optimizer: torch.optim.Adam) -> float:
    """Return the learning rate that the optimizer last used."""
    return float(optimizer.param_groups[0]["lr"])


def gradients(net: PoseNet, batch: data.Batch) -> Tensor:
    """Return the loss of a batch in training mode, its gradients left in the parameters."""
    device = net.final_layer.weight.device
    images, target, joint_weights = (
        torch.from_numpy(a).to(device, non_blocking=True)
        for a in (batch.images, batch.heatmaps, batch.weights)
    )
    net.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=net.precision == "mixed_bfloat16"):
        predicted = net(images)
    loss = weighted_loss(predicted.to(target.dtype), target, joint_weights)
    net.zero_grad(set_to_none=True)
    loss.backward()
    return loss


def make_step(net: PoseNet, optimizer: torch.optim.Adam) -> Step:
    """Return the function that trains on one batch at a learning rate and returns its loss."""

    def step(batch: data.Batch, lr: float) -> float:
        loss = gradients(net, batch)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        return loss.item()

    return step


def make_infer(net: PoseNet) -> inference.Infer:
    """Return the function from images (N, H, W, 3) uint8 to heatmaps (N, K, h, w) float32."""
    device = net.final_layer.weight.device

    @torch.inference_mode()
    def infer(images: np.ndarray) -> np.ndarray:
        net.eval()
        with torch.autocast(device.type, torch.bfloat16, enabled=net.precision == "mixed_bfloat16"):
            heatmaps = net(torch.from_numpy(images).to(device))
        return heatmaps.float().cpu().numpy()

    return infer


def read_optimizer(net: PoseNet, optimizer: torch.optim.Adam) -> weights.Weights:
    """Return Adam's moments by canonical parameter name, and its step count."""
    tensors: weights.Weights = {}
    for name, parameter in net.named_parameters():
        slots = optimizer.state[parameter]
        tensors[f"m/{name}"] = slots["exp_avg"].cpu().contiguous().numpy()
        tensors[f"v/{name}"] = slots["exp_avg_sq"].cpu().contiguous().numpy()
        tensors["step"] = np.array([slots["step"].cpu().item()], np.float32)
    return tensors


def load_optimizer(net: PoseNet, optimizer: torch.optim.Adam, tensors: weights.Weights) -> None:
    """Put back what read_optimizer returned."""
    for name, parameter in net.named_parameters():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(tensors["step"][0]), device=parameter.device),
            "exp_avg": torch.empty_like(parameter).copy_(torch.from_numpy(tensors[f"m/{name}"])),
            "exp_avg_sq": torch.empty_like(parameter).copy_(torch.from_numpy(tensors[f"v/{name}"])),
        }


def run_epoch(loader: data.Loader, step: Step, epoch: int, lr: float, emit: Emit) -> float:
    """Train one epoch and return its mean loss over samples; stops on a loss that is not finite."""
    total, seen = 0.0, 0
    for batch in loader.batches(epoch):
        loss = training.require_finite(step(batch, lr), epoch, batch.annotation_ids.tolist())
        total += loss * len(batch.images)
        seen += len(batch.images)
        emit("batch", {"epoch": epoch, "seen": seen, "of": loader.order.count, "loss": loss})
    return total / seen


def train(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train the twin as the request says, resuming from its last checkpoint, and return a summary.

    Leaves state, last and best checkpoints, epochs.jsonl and each epoch's predictions in `out`.
    """
    job = TrainingJob.from_payload(payload)
    setup(job.device, job.threads)
    identity = checkpoint.identity(job)
    state = checkpoint.resume(job.out, identity)
    progress = state.progress if state else training.start(job.recipe.training)
    net = model.build(job.recipe, job.device, job.recipe.training.precision)
    described = architecture.build(job.recipe.model)
    model.load_weights(net, state.model if state else weights.load(job.initial, described))
    optimizer = make_optimizer(net, job.recipe.training.optimizer)
    if state:
        load_optimizer(net, optimizer, state.optimizer)
    step, infer = make_step(net, optimizer), make_infer(net)
    loader = data.Loader(splits.select(job.manifest, job.coco, "train"), job.recipe, job.workers)
    inputs = inference.Inputs(job.recipe, job.coco, job.manifest, "val", crops=data.crops)
    truth = splits.ground_truth(job.manifest, job.coco, "val")
    while not training.finished(progress, job.recipe.training):
        epoch, started = progress.epoch + 1, time.perf_counter()
        train_loss = run_epoch(loader, step, epoch, progress.lr, emit)
        trained = time.perf_counter()
        val_loss, predictions = inference.validate(infer, inputs, epoch)
        evaluate.save_predictions(job.out / "predictions" / f"epoch_{epoch:04d}.json", predictions)
        line = {
            "epoch": epoch,
            "lr": progress.lr,
            "train_loss": train_loss,
            "val_loss": val_loss,
            "ap": evaluate.score(predictions, truth)["AP"],
            "train_s": trained - started,
            "val_s": time.perf_counter() - trained,
        }
        progress = training.advance(progress, job.recipe.training, line)
        checkpoint.commit(
            job.out,
            State(
                progress,
                model.read_weights(net),
                read_optimizer(net, optimizer),
                job.recipe.data.channel_order,
            ),
            identity,
        )
        emit("epoch", line)
    summary = {
        "best_epoch": progress.best_epoch,
        "best_ap": progress.best_ap,
        "split_sha256": job.manifest.sha256,
        "epochs": progress.epoch,
        "wall_s": sum(line["train_s"] + line["val_s"] for line in progress.lines),
        "versions": {name: version(name) for name in ("torch", "torchvision")},
    }
    write_json(job.out / "summary.json", summary)
    return summary
