"""Runs of several seeds without a training: what the twins ended at, made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pose.files import write_json, write_text

RECIPE = """name: tiny
model: {backbone: resnet18, input_size: [64, 96], deconv_channels: 16, sigma_px: 1}
training: {epochs: 1, batch_size: 2}
"""


def seed_folder(run: Path, seed: int) -> Path:
    """Return where a seed's trainings lie, the run itself for seed 0."""
    return run if seed == 0 else run / "seeds" / str(seed)


def write(run: Path, ended: Mapping[int, Mapping[str, float | None]]) -> Path:
    """Write the summaries of a run's trainings: by seed, from 0 on, the best AP of each twin."""
    if not (run / "recipe.yaml").exists():
        write_text(run / "recipe.yaml", RECIPE)
    for seed, aps in ended.items():
        folder = seed_folder(run, seed)
        if seed:
            write_json(folder / "run.json", {"schema": 1})
        for twin, ap in aps.items():
            write_json(folder / "train" / twin / "summary.json", {"best_epoch": 1, "best_ap": ap})
    return run


def aps(tf: Sequence[float], torch: Sequence[float]) -> dict[int, dict[str, float | None]]:
    """Return both twins' APs by seed."""
    pairs = zip(tf, torch, strict=True)
    return {seed: {"tf": a, "torch": b} for seed, (a, b) in enumerate(pairs)}
