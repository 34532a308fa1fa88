"""The stages that render the data and train the twins, and which twins are trained."""

from __future__ import annotations

from typing import Any

from bench import console
from bench.cells.cell import TWINS
from bench.process import environment, launch
from bench.run import folder, trainings
from bench.run.folder import RunFolder
from bench.stages.preparing import prepare_seed
from pose.errors import Unsupported


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


def train_seed(run: RunFolder, seed: int, twin: str) -> dict[str, Any]:
    """Train one twin from a further seed of a run, in a run folder of its own; return its summary."""
    of_seed = trainings.of_seed(run, seed)
    with folder.locked(of_seed.path, create=True):
        made = prepare_seed(run, seed)
        with made.stage(f"train {twin}", command(made, twin)):
            return train(made, twin)


def command(run: RunFolder, twin: str) -> str:
    """Return what trains a twin of a run folder alone."""
    return f"twinpose train {run.quoted} --twin {twin}"


def is_trained(run: RunFolder, twin: str) -> bool:
    return (run.train_folder(twin) / "summary.json").exists()


def best_epochs(run: RunFolder) -> dict[str, int]:
    """Return the best epoch of each trained twin."""
    return {twin: found.best_epoch for twin in TWINS if (found := trainings.summary(run.path, twin))}


def trained(run: RunFolder) -> dict[str, int]:
    """Return the best epoch of each trained twin; Unsupported when there is none."""
    done = best_epochs(run)
    if not done:
        raise Unsupported(f"{run.path} has no trained twin; 'twinpose train {run.quoted}' makes one")
    return done
