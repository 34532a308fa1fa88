"""What decides a round of a cell, as a hash: what is stored under another one is measured anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell
from bench.cells.matrix import Matrix, Place
from bench.cells.runtimes import RUNTIME_PACKAGES
from bench.machine import fingerprint
from bench.run import artifacts, results
from bench.run.folder import RunFolder
from pose import splits
from pose.files import sha256_of_bytes, sha256_of_file


def cell_hash(cell: Cell, matrix: Matrix, artifact_hash: str | None, rest: dict[str, Any]) -> str:
    """Return a hash over all that decides a round of a cell, except the machine; `rest` is the run's part.

    How many rounds there are is not in it: more of them only add to what is there.
    """
    place = matrix.places.get(cell.runtime)
    if cell.scenario not in {"train", "data"}:
        rest = {name: value for name, value in rest.items() if name != "training"}
    decides = {
        "schema": results.SCHEMA,
        "axes": asdict(cell),
        "artifact": artifact_hash,
        "protocol": matrix.protocol.model_dump(mode="json", include=DECIDES),
        "place": place.model_dump() if place else None,
        "versions": versions(cell.runtime, place),
        "run": rest,
    }
    if (cell.runtime, cell.scenario) in METHODS:
        decides["method"] = METHODS[cell.runtime, cell.scenario]
    return sha256_of_bytes(json.dumps(decides, sort_keys=True).encode())


def versions(runtime: str, place: Place | None) -> dict[str, str | None] | None:
    """Return the versions of a runtime's packages; None where an interpreter of its own has others."""
    if place and place.python:
        return None
    installed = fingerprint.packages()
    return {name: installed[name] for name in RUNTIME_PACKAGES[runtime]}


METHODS = {("openvino", "throughput"): 2}
"""Where a later version of this suite times otherwise than the first, which of the ways it is."""

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
