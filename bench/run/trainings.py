"""The trainings of a run on disk: where each seed's lies, and what a training left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from bench.cells.cell import TWINS
from bench.run.folder import RunFolder
from pose.errors import UserError
from pose.files import read_as


class TrainingSummary(msgspec.Struct, frozen=True):
    """A twin's summary.json."""

    best_epoch: int
    imported: dict[str, str] | None = None
    """The name and the SHA-256 of the file that the weights came from; None for a training."""
    best_ap: float | None = None
    """On the validation part, by ground-truth boxes where the twin was trained."""
    epochs: int | None = None
    """How many were trained; 0 for imported weights."""
    wall_s: float | None = None
    """Of training and validation."""
    split_sha256: str | None = None
    versions: dict[str, str] = {}
    """Of the twin's framework."""


def summary(run: Path, twin: str) -> TrainingSummary | None:
    """Return what a twin's training left in a run folder; None while it is not finished."""
    path = run / "train" / twin / "summary.json"
    if not path.exists():
        return None
    return read_as(path, TrainingSummary, "a training summary; 'twinpose train' makes one")


def imported(run: RunFolder, twin: str) -> dict[str, str] | None:
    """Return the name and the hash of the file that a twin's weights came from; None for a trained twin."""
    found = summary(run.path, twin)
    return found.imported if found else None


def require_none_imported(run: RunFolder) -> None:
    """Raise UserError where a run has imported weights in the place of a training."""
    for twin in TWINS:
        if source := imported(run, twin):
            raise UserError(
                f"{run.path} has the imported weights {source['name']} in the place of a trained {twin}; "
                "expected a run of its own for a training"
            )


def of_seed(run: RunFolder, seed: int) -> RunFolder:
    """Return the run folder of a seed: the run itself, or for a further seed one below it, as yet unmade.

    A further seed's folder is a run folder with nothing but the trainings, so all that reads a run reads it.
    """
    if seed == run.recipe.training.seed:
        return run
    training = run.recipe.training.model_copy(update={"seed": seed})
    recipe = run.recipe.model_copy(update={"training": training})
    return replace(run, path=_further(run.path) / str(seed), recipe=recipe)


def seeds_wanted(run: RunFolder) -> list[int]:
    """Return the seeds that a run is to train with, its recipe's first."""
    first = run.recipe.training.seed
    return [*range(first, first + int(run.facts().get("seeds", 1)))]


def begun(run: Path) -> dict[int, Path]:
    """Return by seed, in their order, the run folders of the further seeds whose training was begun."""
    found = [path.parent for path in _further(run).glob("*/run.json") if path.parent.name.isdecimal()]
    return {int(path.name): path for path in sorted(found, key=lambda path: int(path.name))}


def _further(run: Path) -> Path:
    return run / "seeds"
