"""The stage that puts given weights in the place of a training: both twins then hold the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cells.cell import TWINS
from bench.run.folder import RunFolder
from bench.run.trainings import imported
from bench.stages.evaluation import predict
from pose import architecture, channel_order, weights
from pose.errors import UserError
from pose.files import sha256_of_file, write_json

EPOCH = 0
"""What imported weights are called where a trained twin's are of an epoch."""


def place(run: RunFolder, twin: str, given: Path) -> dict[str, Any]:
    """Make canonical weights the twin's best and score the validation part; return its summary.

    Raises UserError as `pose.weights.load` where a tensor of the file is missing, extra or of another shape,
    and as `pose.channel_order.require` where it expects another order of channels than the recipe's.
    `require_one_source` says whether it may be done at all.
    """
    out = run.train_folder(twin)
    loaded = weights.load(given, architecture.build(run.recipe.model))
    channel_order.require(given, run.recipe)
    # What was made of other weights goes first: an interrupted import must not be taken for the one before.
    for stale in (out / "summary.json", run.path / "test.json", run.path / "samples" / "made_from.json"):
        stale.unlink(missing_ok=True)
    order = {channel_order.KEY: run.recipe.data.channel_order}
    weights.save(out / "best.safetensors", loaded, {"imported": given.name, **order})
    scored = predict(
        run,
        runtime=twin,
        artifact=out / "best.safetensors",
        part="val",
        out=out / "predictions" / f"epoch_{EPOCH:04d}.json",
    )["numbers"]
    source = {"name": given.name, "sha256": sha256_of_file(given), **order}
    placed = {"best_epoch": EPOCH, "best_ap": scored["AP"], "epochs": 0, "imported": source}
    write_json(out / "summary.json", placed)
    return placed


def require_one_source(run: RunFolder, given: Path | None) -> None:
    """Raise UserError where a run would come to hold imported weights beside a training.

    given: weights to import for both twins; None to train what is not there yet.
    """
    here = {twin for twin in TWINS if imported(run, twin)}
    trained = [t for t in TWINS if t not in here and _has_training(run.train_folder(t))]
    if given is not None and trained:
        raise UserError(
            f"{run.path} has a training of {trained[0]}, which --weights {given} would replace; "
            "expected a new --out folder"
        )
    if given is None and here and here != set(TWINS):
        raise UserError(
            f"{run.path} has imported weights for {here.pop()} alone; give the same --weights again, "
            "or a new --out folder to train"
        )


def _has_training(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("summary.json", "epochs.jsonl", "state.safetensors"))


def is_placed(run: RunFolder, twin: str, given: Path) -> bool:
    """Return whether the twin holds these very weights."""
    found = imported(run, twin)
    return found is not None and given.is_file() and found["sha256"] == sha256_of_file(given)
