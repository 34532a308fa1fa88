"""What training decides, apart from any framework: rate schedule, early stopping, progress."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose import recipe, splits
from pose.errors import UserError
from pose.recipe import Recipe
from pose.training_section import PlateauSchedule, StepSchedule, Training

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8


@dataclass(frozen=True)
class TrainingJob:
    """What a training child is told. `out` is RUN/train/{tf,torch}."""

    recipe: Recipe
    coco: Path
    manifest: splits.Manifest
    initial: Path
    out: Path
    device: str
    threads: int
    workers: int

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> TrainingJob:
        """Return the job in a request; paths are strings there and `split` names the manifest."""
        return cls(
            recipe.from_dict(payload["recipe"]),
            Path(payload["coco"]),
            splits.read(Path(payload["split"])),
            Path(payload["initial"]),
            Path(payload["out"]),
            payload["device"],
            payload["threads"],
            payload["workers"],
        )


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands after `epoch` epochs; stored with every checkpoint."""

    lr: float
    epoch: int = 0
    best_ap: float | None = None
    best_epoch: int = 0
    best_loss: float | None = None
    """Lowest validation loss that counted as progress for the plateau schedule."""
    bad_epochs: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the progress as JSON-able values."""
        return asdict(self)


def start(training: Training) -> TrainingProgress:
    """Return the progress of a training that has not begun."""
    return TrainingProgress(lr=training.learning_rate)


def advance(progress: TrainingProgress, training: Training, line: dict[str, Any]) -> TrainingProgress:
    """Return the progress after the epoch that `line` describes (epoch, lr, val_loss, ap ...).

    The best checkpoint is the first of the highest validation AP.
    """
    improved = progress.best_ap is None or line["ap"] > progress.best_ap
    after = replace(
        progress,
        epoch=line["epoch"],
        best_ap=line["ap"] if improved else progress.best_ap,
        best_epoch=line["epoch"] if improved else progress.best_epoch,
        lines=[*progress.lines, line],
    )
    schedule = training.schedule
    if isinstance(schedule, StepSchedule):
        return replace(after, lr=after.lr * schedule.factor if after.epoch in schedule.epochs else after.lr)
    return _plateau(after, schedule, line["val_loss"])


def _plateau(progress: TrainingProgress, schedule: PlateauSchedule, val_loss: float) -> TrainingProgress:
    """Return the progress with the rate lowered after more than `patience` epochs without a lower loss."""
    best = math.inf if progress.best_loss is None else progress.best_loss
    if val_loss < best * (1 - schedule.threshold):
        return replace(progress, best_loss=val_loss, bad_epochs=0)
    if progress.bad_epochs + 1 > schedule.patience:
        return replace(progress, lr=max(progress.lr * schedule.factor, schedule.min_lr), bad_epochs=0)
    return replace(progress, bad_epochs=progress.bad_epochs + 1)


def finished(progress: TrainingProgress, training: Training) -> bool:
    """Return whether all epochs are done or early stopping has ended the training."""
    if progress.epoch >= training.epochs:
        return True
    stopping = training.early_stopping
    return stopping is not None and progress.epoch - progress.best_epoch > stopping.patience


def loss(predicted: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean over joints of 0.5 x MSE(w p, w t), in float64.

    predicted and target: (N, K, h, w); weights: (N, K). Invisible joints stay in the denominator
    (Xiao et al. 2018, code, JointsMSELoss).
    """
    difference = (predicted.astype(np.float64) - target) * weights[:, :, None, None]
    return float(0.5 * np.mean(difference**2))


def require_finite(value: float, epoch: int, annotation_ids: Sequence[int]) -> float:
    """Return `value`; UserError names the epoch and the batch's annotation ids when it is not finite."""
    if not np.isfinite(value):
        ids = ", ".join(str(int(i)) for i in annotation_ids)
        raise UserError(
            f"the loss became {value} in epoch {epoch} on the batch of annotations {ids}; the last good "
            "checkpoint is kept; check these annotations, or lower training.learning_rate"
        )
    return value
