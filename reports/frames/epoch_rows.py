"""A row for each epoch of each training."""

from __future__ import annotations

from dataclasses import asdict

from reports.formats import Columns, Value, or_absent
from reports.run.read import Run

EPOCHS: Columns = {
    "twin": ("string", "tf or torch"),
    "seed": ("int64", "of the training: the recipe's own, or a further one"),
    "epoch": ("int64", "from 1 on"),
    "lr": ("float64", "learning rate"),
    "train_loss": ("float64", "mean over the epoch"),
    "val_loss": ("float64", "on the validation part"),
    "ap": ("float64", "COCO AP on the validation part, by ground-truth boxes"),
    "train_s": ("float64", "time of the steps"),
    "val_s": ("float64", "time of the validation"),
}


def epoch_rows(run: Run) -> list[dict[str, Value]]:
    """Return a row for each epoch of each training, with the reasons of what is absent."""
    lost = "the epoch's line holds no finite value"
    return [
        {"twin": twin, "seed": seed, **{name: or_absent(value, lost) for name, value in asdict(line).items()}}
        for seed, of_seed in run.by_seed.items()
        for twin, training in of_seed.items()
        for line in training.epochs
    ]
