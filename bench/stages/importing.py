"""The stage that puts given weights in the place of a training: both twins then hold the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.rundir import RunFolder
from bench.stages.evaluation import predict
from pose import architecture, weights
from pose.errors import UserError
from pose.files import read_json, sha256_of_file, write_json

EPOCH = 0
"""What imported weights are called where a trained twin's are of an epoch."""


def place(run: RunFolder, twin: str, given: Path) -> dict[str, Any]:
    """Make canonical weights the twin's best and score the validation part; return its summary.

    Raises UserError when the twin is trained here, and as `pose.weights.load` where a tensor of the file is
    missing, extra or of another shape.
    """
    out = run.train_folder(twin)
    if not may_place(run, twin):
        raise UserError(
            f"{run.path} has a training of {twin}, which --weights {given} would replace; "
            "expected a new --out folder"
        )
    loaded = weights.load(given, architecture.build(run.recipe.model))
    weights.save(out / "best.safetensors", loaded, {"imported": given.name})
    scored = predict(
        run,
        runtime=twin,
        artifact=out / "best.safetensors",
        part="val",
        out=out / "predictions" / f"epoch_{EPOCH:04d}.json",
    )["numbers"]
    source = {"name": given.name, "sha256": sha256_of_file(given)}
    summary = {"best_epoch": EPOCH, "best_ap": scored["AP"], "epochs": 0, "imported": source}
    write_json(out / "summary.json", summary)
    return summary


def may_place(run: RunFolder, twin: str) -> bool:
    """Return whether nothing of a training would be lost."""
    out = run.train_folder(twin)
    return imported(run, twin) is not None or not any((out / name).exists() for name in TRAINED)


TRAINED = ("summary.json", "epochs.jsonl", "state.safetensors")


def imported(run: RunFolder, twin: str) -> dict[str, Any] | None:
    """Return the name and the hash of the file that a twin's weights came from; None for a trained twin."""
    path = run.train_folder(twin) / "summary.json"
    if not path.exists():
        return None
    found: dict[str, Any] | None = read_json(path, "a training summary").get("imported")
    return found


def is_placed(run: RunFolder, twin: str, given: Path) -> bool:
    """Return whether the twin holds these very weights."""
    found = imported(run, twin)
    return found is not None and given.is_file() and found["sha256"] == sha256_of_file(given)
