"""A tiny recipe, its dataset and its training job, for tests of either twin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose import architecture, recipe, splits, synthetic, weights

TINY = {
    "name": "tiny",
    "model": {"backbone": "resnet18", "input_size": [32, 64], "deconv_channels": 8, "sigma_px": 1},
    "training": {"epochs": 2, "batch_size": 8},
    "evaluation": {"batch_size": 8},
}


FRAMEWORKS = {"tf": "tensorflow", "torch": "torch"}
EITHER = [pytest.param(twin, marks=pytest.mark.frameworks(name)) for twin, name in FRAMEWORKS.items()]
"""The twins as a test's or a fixture's parameters, each with the framework that it needs."""
MIRRORED = [pytest.param("tf", marks=[*EITHER[0].marks, pytest.mark.slow]), EITHER[1]]
"""The same, where one twin tells nearly all: the other mirrors it, and is left to .ci/run."""


def tiny(**training: Any) -> recipe.Recipe:
    """Return the tiny recipe with some values of its training replaced."""
    return recipe.from_dict(TINY | {"training": TINY["training"] | training})


def one_of_each_network() -> dict[str, recipe.Recipe]:
    """Return by name the shipped recipes whose models differ, and a tiny one of each other backbone."""
    shipped = {name: recipe.load(name) for name in reversed(recipe.shipped("recipes"))}
    found = {one.model.model_dump_json(): (name, one) for name, one in shipped.items()}
    for backbone in architecture.BLOCKS.keys() - {one.model.backbone for one in shipped.values()}:
        small = recipe.from_dict(TINY | {"model": TINY["model"] | {"backbone": backbone}})
        found[backbone] = (backbone, small)
    return dict(sorted(found.values()))


def dataset(folder: Path) -> Path:
    """Return a small rendered dataset."""
    synthetic.make(folder, train_images=12, val_images=6, seed=3, processes=1)
    return folder


def job(
    folder: Path, coco: Path, resolved: recipe.Recipe, *, device: str = "cpu", workers: int = 1
) -> dict[str, Any]:
    """Return a training request whose files lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    splits.save(splits.make(resolved.split, coco), folder / "split.json")
    weights.save(folder / "init.safetensors", weights.initial(architecture.build(resolved.model), 0))
    return {
        "recipe": resolved.model_dump(mode="json"),
        "coco": str(coco),
        "split": str(folder / "split.json"),
        "initial": str(folder / "init.safetensors"),
        "out": str(folder / "train"),
        "device": device,
        "threads": 1,
        "workers": workers,
    }


def epoch_lines(numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Return lines of epochs.jsonl, of epochs that took ten seconds each."""
    return [
        {
            "epoch": n,
            "lr": 1e-3,
            "train_loss": 1 / n,
            "val_loss": 2 / n,
            "ap": n / 400,
            "train_s": 8.0,
            "val_s": 2.0,
        }
        for n in numbers
    ]


def noisy_batch(resolved: recipe.Recipe, count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return images, heatmaps, weights and annotation ids of a random batch."""
    rng = np.random.default_rng(seed)
    width, height = resolved.model.input_size
    w, h = resolved.model.heatmap_size
    return (
        rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8),
        rng.random((count, 17, h, w), dtype=np.float32),
        rng.integers(0, 2, (count, 17)).astype(np.float32),
        np.arange(count),
    )


def end_state(out: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Return every tensor that a training left, and its epoch lines without the times."""
    tensors = weights.read(out / "state.safetensors")
    for name in ("last", "best"):
        tensors |= {f"{name}/{k}": v for k, v in weights.read(out / f"{name}.safetensors").items()}
    lines = [json.loads(line) for line in (out / "epochs.jsonl").read_text().splitlines()]
    return tensors, [{k: v for k, v in line.items() if not k.endswith("_s")} for line in lines]
