"""One round of a tiny twin's `train` or `data` cell, in a child as the bench starts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import twins

from bench.cells.runtimes import RUNTIMES
from bench.process import environment, launch

PROTOCOL = {
    "warmup_s": 0.0, "warmup_gpu_s": 0.0, "warmup_queries": 1, "measured_s": 0.05, "measured_queries": 3,
    "images": 2,
}  # fmt: skip


def measured(
    folder: Path, twin: str, scenario: str, env: Mapping[str, str] | None = None, **spec: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the round gave and its raw samples: batches of four, two threads or loader workers.

    env: variables of the child beside those that the bench gives it.
    """
    resolved = twins.tiny()
    job = twins.job(folder, twins.dataset(folder / "coco"), resolved)
    given = {
        "recipe": job["recipe"],
        "artifact": job["initial"],
        "mode": RUNTIMES[twin].as_shipped,
        "precision": "fp32",
    }
    given |= {"device": "cpu", "threads": 2, "batch": 4, "scenario": scenario} | spec
    payload = {
        "runner": f"{twin}_impl.runner:Runner",
        "spec": given,
        "protocol": PROTOCOL,
        "coco": job["coco"],
        "split_file": job["split"],
        "boxes": None,
        "samples": folder / "samples.npz",
        "twin": twin,
    }
    given_env = environment.thread_environment(2) | environment.PASSIVE | dict(env or {})
    found = launch.value_of(
        launch.call("bench.scenarios.round:cell", payload, folder, env=given_env, timeout_s=240)
    )
    with np.load(folder / "samples.npz") as arrays:
        return found, dict(arrays)


def surroundings(payload: dict[str, Any], emit: Any) -> dict[str, Any]:
    """Return where this child runs and what its environment says."""
    names = ("TOLD_BY", "OF_THE_PLACE", "CUDA_VISIBLE_DEVICES")
    return {name: os.environ.get(name) for name in names} | {"folder": str(Path.cwd())}
