"""Checkpoints that survive a kill at any moment.

state.safetensors holds everything: weights, optimizer, schedule, position and the epoch
lines. Renaming it into place is the one moment at which an epoch counts as done; last, best,
epochs.jsonl and TensorBoard's events are derived from it, and derived anew when a training resumes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from pose import channel_order, tensorboard, weights
from pose.errors import UserError
from pose.files import sha256_of_bytes, write_text
from pose.training import TrainingJob, TrainingProgress
from pose.weights import Weights

_MODEL, _OPTIMIZER = "model/", "optimizer/"


@dataclass(frozen=True, eq=False)
class State:
    """A training between two epochs; `optimizer` is named by canonical parameter names."""

    progress: TrainingProgress
    model: Weights
    optimizer: Weights
    channel_order: str | None = None
    """Of the images that it trains on; None where a version before this wrote the state."""


def identity(job: TrainingJob) -> str:
    """Return a hash of what must not change between a start and a resume."""
    decides = {
        "recipe": job.recipe.model_dump(mode="json", include={"data", "model", "training", "evaluation"}),
        "split": job.manifest.sha256,
        "initial": weights.fingerprint(weights.read(job.initial)),
    }
    return sha256_of_bytes(json.dumps(decides, sort_keys=True).encode())


def commit(out: Path, state: State, identity_: str) -> None:
    """Make `state` the training's checkpoint, then publish what is derived from it."""
    tensors = {_MODEL + name: value for name, value in state.model.items()}
    tensors |= {_OPTIMIZER + name: value for name, value in state.optimizer.items()}
    metadata: Mapping[str, object] = {"progress": state.progress.to_dict(), "identity": identity_}
    weights.save(out / "state.safetensors", tensors, {**metadata, **_order(state)})
    _publish(out, state)


def resume(out: Path, identity_: str) -> State | None:
    """Return the state to go on from, None for a fresh start.

    Raises UserError when it is of another job, is damaged, or its best checkpoint is gone.
    """
    path = out / "state.safetensors"
    if not path.exists():
        return None
    tensors, metadata = weights.read_with_metadata(path)
    if metadata.get("identity") != identity_:
        raise UserError(
            f"{path} belongs to another recipe, split or start; "
            "use a new run folder, or the recipe that it began with"
        )
    progress = _progress(metadata.get("progress"), path)
    model, optimizer = (_with_prefix(tensors, prefix) for prefix in (_MODEL, _OPTIMIZER))
    state = State(progress, model, optimizer, channel_order.of(metadata))
    _require_best(out, progress)
    _publish(out, state)
    return state


def _progress(stored: object, path: Path) -> TrainingProgress:
    try:
        return TrainingProgress(**cast(dict[str, Any], stored))
    except TypeError as error:
        raise UserError(
            f"{path} has no training progress ({error}); expected the state of an interrupted training"
        ) from error


def _require_best(out: Path, progress: TrainingProgress) -> None:
    """UserError unless best.safetensors is of the best epoch: only the last epoch's can be made anew."""
    path = out / "best.safetensors"
    if progress.best_epoch == progress.epoch:
        return
    try:
        epoch = weights.read_with_metadata(path)[1].get("epoch")
        found = None if epoch == progress.best_epoch else f"is of epoch {epoch}"
    except UserError:
        found = "is damaged" if path.exists() else "is lost"
    if found:
        raise UserError(
            f"{path} {found}; expected epoch {progress.best_epoch}, the best of the training; "
            f"restore it, or remove {out} to train again"
        )


def _publish(out: Path, state: State) -> None:
    metadata = {"epoch": state.progress.epoch, "ap": state.progress.lines[-1]["ap"], **_order(state)}
    if state.progress.best_epoch == state.progress.epoch:
        weights.save(out / "best.safetensors", state.model, metadata)
    weights.save(out / "last.safetensors", state.model, metadata)
    write_text(out / "epochs.jsonl", "".join(json.dumps(line) + "\n" for line in state.progress.lines))
    tensorboard.publish(out, state.progress.lines)


def _order(state: State) -> dict[str, str]:
    return {channel_order.KEY: state.channel_order} if state.channel_order else {}


def _with_prefix(tensors: Mapping[str, np.ndarray], prefix: str) -> Weights:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
