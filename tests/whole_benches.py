"""A bench as a whole over a run folder, on a machine whose ceilings are made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from benching import TESTS, one

from bench.cells import matrix
from bench.process.launch import OnEvent
from bench.rounds import session
from bench.rounds.session import BenchRequest, BenchResult
from bench.run import folder
from bench.run.bench_file import Ceilings

CEILINGS = msgspec.convert(
    {
        "device": "cpu",
        "peaks": [{"precision": "fp32", "threads": 2, "gflops": 100.0, "kernel": "3x3", "library": "torch"}],
        "kernels": [],
        "bandwidth_gb_s": {"2": 30.0},
        "reasons": {},
        "doubts": [],
    },
    Ceilings,
)


def two_arms(rounds: int = 2, **patch: Any) -> matrix.Matrix:
    return one(mode=["eager", "compiled"], protocol={"rounds": rounds, "measured_s": 0.05}, **patch)


def whole_bench(
    run: Path,
    chosen: matrix.Matrix,
    runner: str = "Sleeper",
    ceilings: Callable[[matrix.Matrix, str], Ceilings] = lambda measured, device: CEILINGS,
    tell: OnEvent = lambda name, fields: None,
    **wanted: Any,
) -> BenchResult:
    return session.run(
        folder.opened(run),
        chosen,
        BenchRequest(uncertified=True, command="twinpose bench", **wanted),
        tell,
        runners={"torch": f"fake_runners:{runner}"},
        env={"PYTHONPATH": TESTS},
        ceilings=ceilings,
    )


def facts(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run / "bench" / "bench.json").read_text())
    return read
