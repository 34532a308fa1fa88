"""Checkpoints that survive a kill at any moment.

state.safetensors holds everything: weights, optimizer, schedule, position and the epoch
lines. Renaming it into place is the one moment at which an epoch counts as done; last, best
and epochs.jsonl are derived from it, and derived anew when a training resumes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose import weights
from pose.errors import UserError
from pose.files import sha256_of_bytes, write_text
from pose.training import Job, Progress
from pose.weights import Weights

_MODEL, _OPTIMIZER = "model/", "optimizer/"


@dataclass(frozen=True, eq=False)
class State:
    """A training between two epochs; `optimizer` is named by canonical parameter names."""

    progress: Progress
    model: Weights
    optimizer: Weights


def identity(job: Job) -> str:
    """Return a hash of what must not change between a start and a resume."""
    decides = {
        "recipe": job.recipe.model_dump(mode="json", include={"data", "model", "training", "evaluation"}),
        "split": job.manifest.sha256,
        "initial": weights.fingerprint(weights.read(job.initial)),
    }
    return sha256_of_bytes(json.dumps(decides, sort_keys=True).encode())


def commit(out: Path, state: State, identity_: str) -> None:
    """Make `state` the training's checkpoint, then publish last, best and epochs.jsonl from it."""
    tensors = {_MODEL + name: value for name, value in state.model.items()}
    tensors |= {_OPTIMIZER + name: value for name, value in state.optimizer.items()}
    metadata: Mapping[str, object] = {"progress": state.progress.to_dict(), "identity": identity_}
    weights.save(out / "state.safetensors", tensors, metadata)
    _publish(out, state)


def resume(out: Path, identity_: str) -> State | None:
    """Return the state to go on from, None for a fresh start; UserError when it is of another job."""
    path = out / "state.safetensors"
    if not path.exists():
        return None
    tensors, metadata = weights.read_with_metadata(path)
    if metadata.get("identity") != identity_:
        raise UserError(
            f"{path} belongs to another recipe, split or start; use a new run folder, or the recipe that it began with"
        )
    progress = metadata["progress"]
    if not isinstance(progress, dict):
        raise UserError(f"{path} has no training progress; expected the state of an interrupted training")
    state = State(Progress(**progress), _with_prefix(tensors, _MODEL), _with_prefix(tensors, _OPTIMIZER))
    _publish(out, state)
    return state


def _publish(out: Path, state: State) -> None:
    metadata = {"epoch": state.progress.epoch, "ap": state.progress.lines[-1]["ap"]}
    if state.progress.best_epoch == state.progress.epoch:
        weights.save(out / "best.safetensors", state.model, metadata)
    weights.save(out / "last.safetensors", state.model, metadata)
    write_text(out / "epochs.jsonl", "".join(json.dumps(line) + "\n" for line in state.progress.lines))


def _with_prefix(tensors: Mapping[str, np.ndarray], prefix: str) -> Weights:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
