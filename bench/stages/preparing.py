"""The stage that makes a run folder: its split, its ground truth, its initial weights."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.artifacts import checkpoints
from bench.cells import runtimes
from bench.machine import fingerprint
from bench.run import journal, results, trainings
from bench.run.folder import GROUND_TRUTH, RunFolder, Settings, at_new_place, opened
from pose import __version__, architecture, channel_order, coco, splits, weights
from pose.errors import UserError
from pose.files import read_bytes, sha256_of_file, write_bytes, write_json, write_text
from pose.recipe import Recipe

TRUTHS = {"val": "ground_truth.json", "test": "ground_truth_test.json"}
"""By part, the ground truth that a run keeps."""


def prepare(path: Path, wanted: Recipe, settings: Settings, given: Path | None = None) -> RunFolder:
    """Return the run folder at `path` for a recipe, made if it is not there yet.

    given: canonical weights that are to be measured and not trained, which then are the initial ones too.
    Fixes the split, the ground truth and the initial weights. Raises UserError when the folder
    holds a run of another recipe, dataset or settings, and when the detections have no box for a
    part that will be predicted. That the folder is ours to write in is for `locked` to say.
    """
    if (path / "run.json").exists():
        existing = opened(path)
        require_recipe(existing, wanted)
        _require_settings(existing, settings)
        return at_new_place(existing, settings.coco)
    # Weights that are given need no training part.
    manifest = (splits.of_what_is_there if given else splits.of)(wanted, settings.coco)
    _check_boxes(manifest, settings)
    splits.save(manifest, path / "split.json")
    write_text(path / "recipe.yaml", wanted.to_yaml())
    for part, name in TRUTHS.items():
        if manifest.parts.get(part):
            write_json(path / name, splits.ground_truth(manifest, settings.coco, part), indent=None)
    if given is None:
        _write_initial(path / "weights" / "init.safetensors", wanted)
    else:
        described = architecture.build(wanted.model)
        order = {channel_order.KEY: wanted.data.channel_order}
        weights.save(path / "weights" / "init.safetensors", weights.load(given, described), order)
    facts = {
        "schema": results.RUN_SCHEMA,
        "name": wanted.name,
        "coco": "data" if settings.coco == path / "data" else str(settings.coco.resolve()),
        "dataset": "rendered people"
        if wanted.data.synthetic and settings.coco == path / "data"
        else settings.coco.name,
        "boxes": str(settings.boxes.resolve()) if settings.boxes else GROUND_TRUTH,
        "boxes_sha256": sha256_of_file(settings.boxes) if settings.boxes else None,
        "device": settings.device,
        "threads": settings.threads,
        "workers": settings.workers,
        "split_sha256": manifest.sha256,
        **_made_now(),
    }
    write_json(path / "run.json", facts)
    return opened(path)


def prepare_seed(run: RunFolder, seed: int) -> RunFolder:
    """Return the run folder of a run's further seed, made if it is not there yet.

    All in it is the run's but what follows from the seed: initial weights, and the order and augmentation
    of the samples. Raises UserError as `require_recipe`.
    """
    made = trainings.of_seed(run, seed)
    if (made.path / "run.json").exists():
        existing = opened(made.path)
        require_recipe(existing, made.recipe)
        return at_new_place(existing, run.settings.coco)
    for name in ("split.json", *TRUTHS.values()):
        if (run.path / name).exists():
            write_bytes(made.path / name, read_bytes(run.path / name, "what 'twinpose run' wrote"))
    write_text(made.path / "recipe.yaml", made.recipe.to_yaml())
    _write_initial(made.initial_weights, made.recipe)
    facts = run.facts()
    coco = Path(facts["coco"])
    beside = coco if coco.is_absolute() else os.path.relpath(run.path / coco, made.path)
    own = {name: value for name, value in facts.items() if name != "seeds"} | {"coco": str(beside)}
    write_json(made.path / "run.json", own | _made_now() | {"command": f"twinpose train {made.quoted}"})
    return opened(made.path)


def ask_for_seeds(run: RunFolder, count: int) -> None:
    """Record with how many seeds each twin is to be trained; trainings that are there stay.

    Raises UserError where imported weights took the place of a training.
    """
    trainings.require_none_imported(run)
    write_json(run.path / "run.json", run.facts() | {"seeds": count})


def _made_now() -> dict[str, Any]:
    """Return what run.json says of its making."""
    return {
        "twinpose": __version__,
        "command": shlex.join(["twinpose", *sys.argv[1:]]),
        "started": journal.now(),
        "machine": fingerprint.fingerprint(runtimes.PACKAGES),
        "stages": {},
    }


def _check_boxes(manifest: splits.Manifest, settings: Settings) -> None:
    if settings.boxes is not None:
        for part in ("val", "test"):
            if manifest.parts.get(part):
                coco.with_detections(splits.select(manifest, settings.coco, part), settings.boxes)


def require_recipe(existing: RunFolder, wanted: Recipe) -> None:
    """Raise UserError naming the values in which a run's recipe differs from `wanted`."""
    changed = _differences(existing.recipe.model_dump(mode="json"), wanted.model_dump(mode="json"))
    if changed:
        raise UserError(
            f"{existing.path} was made with another recipe ({'; '.join(changed[:3])}); "
            "use a new --out folder, or the recipe and --set that it was made with"
        )


def _require_settings(existing: RunFolder, settings: Settings) -> None:
    ours, theirs = _comparable(existing.settings), _comparable(settings)
    for name, value in ours.items():
        if value != theirs[name]:
            raise UserError(
                f"{existing.path} was made with {name} {value}, not {theirs[name]}; "
                f"give the same --{name}, or a new --out"
            )


def _comparable(settings: Settings) -> dict[str, Any]:
    boxes = settings.boxes.resolve() if settings.boxes else GROUND_TRUTH
    return {name: value for name, value in asdict(settings).items() if name != "coco"} | {"boxes": boxes}


def _differences(stored: Any, given: Any, key: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = [*stored, *(k for k in given if k not in stored)]
        return [d for k in keys for d in _differences(stored.get(k), given.get(k), f"{key}.{k}".lstrip("."))]
    return [] if stored == given else [f"{key}: {stored} there, {given} given"]


def _write_initial(path: Path, wanted: Recipe) -> None:
    described = architecture.build(wanted.model)
    made = weights.initial(described, wanted.training.seed)
    source = wanted.model.pretrained
    if source is not None:
        body = path.with_name("pretrained.safetensors")
        checkpoints.read(source, wanted.model, body)
        made = weights.overlay(made, weights.read(body), source)
    order = {channel_order.KEY: wanted.data.channel_order}
    weights.save(path, made, {"seed": wanted.training.seed, "pretrained": source, **order})
