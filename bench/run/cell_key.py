"""What decides a round of a cell, as a hash: what is stored under another one is measured anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cells import runtimes
from bench.cells.cell import Cell
from bench.cells.matrix import Matrix, Place
from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS
from bench.run import artifacts, results
from bench.run.folder import RunFolder
from pose import splits
from pose.files import sha256_of_bytes, sha256_of_file


def cell_hash(cell: Cell, matrix: Matrix, artifact_hash: str | None, rest: dict[str, Any]) -> str:
    """Return a hash over all that decides a round of a cell, except the machine; `rest` is the run's part.

    How many rounds there are is not in it: more of them only add to what is there.
    """
    place = matrix.places.get(cell.runtime)
    if not SCENARIOS[cell.scenario].of_framework:
        rest = {name: value for name, value in rest.items() if name != "training"}
    protocol = matrix.protocol.model_dump(mode="json", include=DECIDES)
    further = {"schema": results.SCHEMA, "protocol": protocol, "run": rest}
    method = RUNTIMES[cell.runtime].methods.get(cell.scenario)
    if method is not None:
        further["method"] = method
    return hash_of(cell, artifact_hash, place, further)


def hash_of(cell: Cell, artifact_hash: str | None, place: Place | None, further: dict[str, Any]) -> str:
    """Return a hash over a cell, its artifact, its runtime's place and versions, and what else decides it."""
    decides = {
        "axes": asdict(cell),
        "artifact": artifact_hash,
        "place": place.model_dump() if place else None,
        "versions": versions(cell.runtime, place),
        **further,
    }
    return sha256_of_bytes(json.dumps(decides, sort_keys=True).encode())


def versions(runtime: str, place: Place | None) -> dict[str, str | None] | None:
    """Return the versions of a runtime's packages; None where an interpreter of its own has others."""
    if place and place.python:
        return None
    installed = runtimes.versions()
    return {name: installed[name] for name in RUNTIMES[runtime].packages}


DECIDES = {"warmup_s", "warmup_gpu_s", "warmup_queries", "measured_s", "measured_queries", "images"}
"""What of a protocol changes what a round is."""


def decided_by_run(run: RunFolder) -> dict[str, Any]:
    """Return what a run contributes to the hash of each of its cells."""
    boxes = run.settings.boxes
    return {
        "split": splits.read(run.split_file).sha256,
        "boxes": sha256_of_file(boxes) if boxes else None,
        "recipe": run.recipe.model_dump(mode="json", include={"model", "data", "evaluation"}),
        "training": run.recipe.training.model_dump(mode="json"),
    }


def artifact_hashes(run: Path, cells: Sequence[Cell]) -> dict[Path, str | None]:
    """Return the SHA-256 of every artifact that the cells measure, by path; None for one that is absent."""
    paths = {artifacts.artifact(run, cell) for cell in cells}
    return {path: artifacts.artifact_sha256(path) for path in paths}
