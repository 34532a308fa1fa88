"""Each runtime's runner on the smoke network, in a process of its own: one query, host to host.

The child takes the times; a clock that stands still between them hands them to pytest-benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from untrained import measured, untrained

from bench.cells.cell import Cell
from bench.run import artifacts
from bench.run.folder import RunFolder
from bench.stages import conversion

THREADS = 1
PROTOCOL = {
    "warmup_s": 0.5, "warmup_gpu_s": 0.5, "warmup_queries": 10,
    "measured_s": 1.0, "measured_queries": 50, "images": 8,
}  # fmt: skip
CELLS = (
    ("torch", "torch", "eager", ("torch",)),
    ("tf", "tf", "graph", ("tensorflow",)),
    ("torch", "onnxruntime", "ir", ("onnxruntime", "torch", "onnx")),
    ("torch", "openvino", "ir", ("openvino", "torch")),
)
"""Twin, runtime, mode, and what has to be installed to make and to run its artifact."""


@dataclass
class Clock:
    """Time that passes only when a child's query is told of."""

    now_s: float = 0.0


CLOCK = Clock()


def told_s() -> float:
    """Return the seconds that children's queries have taken so far."""
    return CLOCK.now_s


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return a run of the smoke recipe whose twins have their initial weights for trained ones."""
    return untrained(tmp_path_factory.mktemp("runners"), "smoke", THREADS)


@pytest.mark.timeout(300)
@pytest.mark.benchmark(group="runner", timer=told_s)
@pytest.mark.parametrize(("twin", "runtime", "mode", "needed"), CELLS, ids=[cell[1] for cell in CELLS])
def test_a_query(
    benchmark: Any, run: RunFolder, twin: str, runtime: str, mode: str, needed: tuple[str, ...]
) -> None:
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} is not installed")
    cell = Cell(twin, runtime, mode, "fp32", "cpu", 1, THREADS, "glibc", "latency")
    artifact = artifacts.artifact(run.path, cell)
    if not artifact.exists():
        conversion.convert(run, twin)
    value, latency_ns = measured(run, cell, PROTOCOL)
    queries = iter((latency_ns / 1e9).tolist())

    def query() -> None:
        CLOCK.now_s += next(queries)

    benchmark.pedantic(query, rounds=len(latency_ns))
    benchmark.extra_info.update({"effective": value["effective"], "phases_s": value["phases_s"]})
    assert benchmark.stats.stats.rounds == len(latency_ns) >= PROTOCOL["measured_queries"]
    assert benchmark.stats.stats.median * 1e3 == pytest.approx(np.median(latency_ns) / 1e6, rel=1e-6)
