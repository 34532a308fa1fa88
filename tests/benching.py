"""A matrix of one cell, measured with a runner that needs no framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import cells, matrix
from bench.store import CellResult

TESTS = str(Path(__file__).parent / "bench")
PROTOCOL = {
    "rounds": 1,
    "warmup_s": 0.05,
    "warmup_queries": 3,
    "measured_s": 0.1,
    "images": 4,
    "timeout_s": 60,
}


def one(scenario: str | list[str] = "latency", batch: int = 1, **patch: Any) -> matrix.Matrix:
    block = {"twin": "torch", "runtime": "torch", "mode": "eager", "scenario": scenario, "batch": batch}
    protocol = {**PROTOCOL, **patch.pop("protocol", {})}
    return matrix.from_dict({"name": "t", "protocol": protocol, "blocks": [{**block, "threads": 2, **patch}]})


def bench(run: Path, chosen: matrix.Matrix, runner: str = "Sleeper", **options: Any) -> list[CellResult]:
    runners = {"torch": f"fake_runners:{runner}", "onnxruntime": "fake_runners:Sleeper"}
    given = {"uncertified": True, **options}
    return cells.run(run, chosen, runners=runners, env={"PYTHONPATH": TESTS}, **given)
