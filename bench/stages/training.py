"""The stages that render the data and train the twins, and which twins are trained."""

from __future__ import annotations

from typing import Any

import msgspec

from bench import console
from bench.cells.cell import TWINS
from bench.process import environment, launch
from bench.run.folder import RunFolder
from pose.errors import Unsupported
from pose.files import read_as


def train(run: RunFolder, twin: str) -> dict[str, Any]:
    """Train one twin in a process of its own, resuming where it stopped; return its summary."""
    settings, out = run.settings, run.train_folder(twin)
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": str(settings.coco),
        "split": str(run.split_file.resolve()),
        "initial": str(run.initial_weights.resolve()),
        "out": str(out.resolve()),
        "device": settings.device,
        "threads": settings.threads,
        "workers": settings.workers,
    }
    with console.bar(f"train {twin}") as move:

        def on_event(name: str, event: dict[str, Any]) -> None:
            if name == "batch":
                move(event["seen"], event["of"], f"epoch {event['epoch']}  loss {event['loss']:.5f}")
            if name == "epoch":
                console.say(
                    f"{twin:5s} epoch {event['epoch']:3d}  train loss {event['train_loss']:.6f}  "
                    f"val loss {event['val_loss']:.6f}  AP {event['ap']:.3f}  "
                    f"{event['train_s'] + event['val_s']:.0f} s"
                )

        pools = environment.thread_environment(settings.threads, "tuned", settings.device)
        outcome = launch.call(
            f"{twin}_impl.train:train",
            payload,
            out / "child",
            env=pools | environment.BRIEF | environment.ONEDNN,
            on_event=on_event,
        )
    return launch.value_of(outcome)


class TrainingSummary(msgspec.Struct, frozen=True):
    """What the stages read of a twin's summary.json."""

    best_epoch: int
    imported: dict[str, str] | None = None
    """The name and the SHA-256 of the file that the weights came from; None for a training."""


def summary(run: RunFolder, twin: str) -> TrainingSummary | None:
    """Return what a twin's training left; None while it is not finished."""
    path = run.train_folder(twin) / "summary.json"
    return (
        read_as(path, TrainingSummary, "a training summary; 'twinpose train' makes one")
        if path.exists()
        else None
    )


def is_trained(run: RunFolder, twin: str) -> bool:
    return (run.train_folder(twin) / "summary.json").exists()


def best_epochs(run: RunFolder) -> dict[str, int]:
    """Return the best epoch of each trained twin."""
    return {twin: found.best_epoch for twin in TWINS if (found := summary(run, twin))}


def trained(run: RunFolder) -> dict[str, int]:
    """Return the best epoch of each trained twin; Unsupported when there is none."""
    done = best_epochs(run)
    if not done:
        raise Unsupported(f"{run.path} has no trained twin; 'twinpose train {run.quoted}' makes one")
    return done
