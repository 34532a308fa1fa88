"""The stage that scores the test part, and the prediction and the ground truth that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import msgspec

from bench.process.with_bar import call_with_bar
from bench.run.folder import GROUND_TRUTH, RunFolder
from bench.stages.preparing import TRUTHS
from bench.stages.training import trained
from pose import channel_order, splits
from pose.errors import UserError
from pose.files import read_json, write_json
from pose.records import Image, Person


class GroundTruth(TypedDict):
    """ground_truth.json: COCO annotations of a part's people."""

    images: list[Image]
    annotations: list[Person]
    categories: list[dict[str, Any]]


class Score(msgspec.Struct, frozen=True):
    """One twin's row of test.json, apart from its numbers."""

    epoch: int


class Tested(msgspec.Struct, frozen=True):
    """What the stages read of test.json."""

    split: str | None
    twins: dict[str, Score] = {}


def evaluate(run: RunFolder) -> dict[str, Any]:
    """Score the test part once, on each trained twin's best checkpoint; write and return test.json."""
    manifest = splits.read(run.split_file)
    record: dict[str, Any]
    if manifest.parts.get("test") is None:
        record = {"split": None, "reason": f"the '{manifest.method}' split has no labelled test part"}
    else:
        record = {"split": "test", "split_sha256": manifest.sha256, "boxes": _boxes(run)}
        record |= {channel_order.KEY: run.recipe.data.channel_order, "twins": {}}
        for twin, epoch in trained(run).items():
            numbers = predict(
                run,
                runtime=twin,
                artifact=run.train_folder(twin) / "best.safetensors",
                part="test",
                out=run.train_folder(twin) / "predictions" / "test.json",
            )["numbers"]
            record["twins"][twin] = {"checkpoint": "best", "epoch": epoch, **numbers}
    write_json(run.path / "test.json", record)
    return record


def _boxes(run: RunFolder) -> str:
    return run.settings.boxes.name if run.settings.boxes else GROUND_TRUTH


def predict(
    run: RunFolder,
    *,
    runtime: str,
    artifact: Path,
    part: str,
    out: Path,
    heatmaps: Path | None = None,
    child: Path | None = None,
) -> dict[str, Any]:
    """Predict one part of the run's split with one runtime in a process of its own.

    child: a folder for that process that does not stay; by default one beside `out` stays when it fails.
    """
    settings = run.settings
    payload = {
        "recipe": run.recipe.model_dump(mode="json"),
        "coco": settings.coco.resolve(),
        "split": run.split_file.resolve(),
        "boxes": settings.boxes and settings.boxes.resolve(),
        "part": part,
        "runtime": runtime,
        "artifact": artifact.resolve(),
        "device": settings.device,
        "threads": settings.threads,
        "out": out.resolve(),
        "heatmaps": heatmaps and heatmaps.resolve(),
    }
    entry, title = "bench.artifacts.predict:predict", f"predict {runtime}"
    beside = out.parent / f".twinpose.{out.stem}.child"
    return call_with_bar(entry, payload, child or beside, title, settings.threads, log_stays=child is None)


def stored_truth(run: RunFolder, part: str) -> dict[str, Any]:
    """Return the ground truth that the run stored for `part`; UserError for a part that has none."""
    if part not in TRUTHS:
        raise UserError(f"a run stores no ground truth of '{part}'; expected --split val or test")
    path, expected = run.path / TRUTHS[part], f"the run's ground truth of '{part}'"
    truth: dict[str, Any] = read_json(path, expected)
    try:
        msgspec.convert(truth, GroundTruth)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is no ground truth ({error}); expected {expected}") from error
    return truth
