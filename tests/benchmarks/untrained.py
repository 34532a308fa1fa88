"""A run folder whose twins were never trained, and one round of a cell in it: enough to time a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import TWINS, Cell
from bench.cells.matrix import Matrix
from bench.cells.protocol import Protocol
from bench.process import launch
from bench.process.affinity import Cores
from bench.rounds.passes import Session
from bench.rounds.start_round import Means, run_round
from bench.run import artifacts, results
from bench.run.folder import RunFolder, Settings
from bench.stages import preparing
from pose import recipe, synthetic


def untrained(folder: Path, name: str, threads: int) -> RunFolder:
    """Return a run of a recipe whose twins have their initial weights for trained ones."""
    synthetic.make(folder / "coco", train_images=4, val_images=8, seed=1)
    settings = Settings(folder / "coco", None, "cpu", threads, 0)
    made = preparing.prepare(
        folder / "run", recipe.load(name, ["split.method=official", "model.pretrained=null"]), settings
    )
    for twin in TWINS:
        made.train_folder(twin).mkdir(parents=True)
        shutil.copy(made.initial_weights, made.train_folder(twin) / "best.safetensors")
    return made


def measured(run: RunFolder, cell: Cell, protocol: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Return what one round of the bench gives, measured as the bench does, and its latencies (n,) in ns."""
    wanted = Protocol.model_validate({"profile": "quick", **protocol})
    cores = Cores.mine()
    matrix = Matrix("untrained", wanted, (cell,))
    means = Means(Session.begin(), lambda name, fields: None, timeout_s=120)
    artifact = artifacts.artifact_sha256(artifacts.artifact(run.path, cell))
    samples, cpus = run.path / "samples.npz", cores.for_child(cell.threads)
    with cores.parent_aside():
        outcome = run_round(run, matrix, cell, means, artifact, samples=samples, cpus=cpus)
    return launch.value_of(outcome), results.load_samples(samples)["latency_ns"]
