"""Rounds of a scenario in this process, of a run folder and a made-up runner or twin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import RunnerSpec
from bench.scenarios import round as round_
from bench.scenarios.base import Phases, RoundJob
from pose import recipe as recipes

PROTOCOL = {
    "warmup_s": 0.0, "warmup_gpu_s": 0.0, "warmup_queries": 3, "measured_s": 0.02, "measured_queries": 10,
    "images": 4,
}  # fmt: skip


def payload(run: Path, scenario: str, runner: str = "Oracle", **changes: Any) -> dict[str, Any]:
    """Return the request of one round; `changes` are RunnerSpec's fields or the payload's."""
    spec: dict[str, Any] = {
        "recipe": recipes.load(str(run / "recipe.yaml")).model_dump(mode="json"),
        "artifact": str(run / "train" / "torch" / "best.safetensors"),
        "mode": "eager", "precision": "fp32", "device": "cpu", "threads": 2, "batch": 1, "scenario": scenario,
    }  # fmt: skip
    spec |= {name: changes.pop(name) for name in list(changes) if name in spec}
    return {
        "runner": f"fake_runners:{runner}",
        "spec": spec,
        "protocol": PROTOCOL,
        "coco": json.loads((run / "run.json").read_text())["coco"],
        "split_file": str(run / "split.json"),
        "boxes": None,
        "samples": str(run / "samples.npz"),
        "twin": "fake",
        **changes,
    }


def job(request: dict[str, Any]) -> RoundJob:
    return RoundJob(
        RunnerSpec(**request["spec"]), request["protocol"], request, Phases(lambda name, fields: None)
    )


def measured(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what one round gave, and its raw samples."""
    found = round_.cell(request, lambda name, fields: None)
    with np.load(request["samples"]) as arrays:
        return found, dict(arrays)
