"""Ten thousand cells of ten rounds: read, and compared with ten thousand others, as the command does it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_folders

from bench.cells.cell import Cell
from bench.compare import sides
from bench.run import results as results_

ROOT = Path(__file__).resolve().parents[2]
CELLS, ROUNDS = 10_000, 10
SLOWER = 100
"""Cells of B that take a tenth longer."""

PROGRAM = """
import json, sys, time
started = time.perf_counter()
from twinpose import compare
from pathlib import Path
loaded = time.perf_counter()
code = compare.compare(Path(sys.argv[1]), Path(sys.argv[2]), "5%")
print(json.dumps({"import_s": loaded - started, "compare_s": time.perf_counter() - loaded,
                  "processor_s": time.process_time(), "code": code}),
      file=sys.stderr)
"""


def axes() -> list[Cell]:
    batches, threads, allocators = range(1, 26), range(1, 101), ("glibc", "tuned")
    found = itertools.product(batches, threads, allocators, ("latency", "throughput"))
    return [
        run_folders.cell(scenario, batch=batch, threads=count, allocator=allocator)
        for batch, count, allocator, scenario in found
    ]


def written(folder: Path, seed: int, slower: int) -> Path:
    rng = np.random.default_rng(seed)
    results = []
    for number, one in enumerate(axes()):
        slowdown = 1.1 if number < slower else 1.0
        middle = 20.0 * slowdown if one.scenario == "latency" else 50.0 / slowdown
        values = middle * np.exp(rng.normal(0, 0.005, ROUNDS))
        results.append(run_folders.result(one, values.tolist()))
    return run_folders.write(folder, results)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two runs of ten thousand cells each."""
    folder = tmp_path_factory.mktemp("runs")
    return written(folder / "a", 1, 0), written(folder / "b", 2, SLOWER)


@pytest.mark.timeout(900)
@pytest.mark.benchmark(group="store")
def test_ten_thousand_cells_are_read(benchmark: Any, runs: tuple[Path, Path]) -> None:
    found = benchmark.pedantic(results_.cells, args=(runs[0],), rounds=5, warmup_rounds=1)
    assert len(found) == CELLS
    assert all(len(one.rounds) == ROUNDS for one in found)


@pytest.mark.timeout(900)
@pytest.mark.benchmark(group="store")
def test_twice_ten_thousand_cells_are_compared(benchmark: Any, runs: tuple[Path, Path]) -> None:
    """In a fresh process, imports and the printed table included."""
    figures: list[dict[str, float]] = []

    def compare() -> str:
        command = [sys.executable, "-c", PROGRAM, *map(str, runs)]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        whole = {"whole_s": time.perf_counter() - started}
        figures.append(json.loads(done.stderr.splitlines()[-1]) | whole)
        return done.stdout

    text = benchmark.pedantic(compare, rounds=3)
    best = min(figures, key=lambda figure: figure["whole_s"])
    benchmark.extra_info.update(best | {"cells": CELLS, "rounds": ROUNDS})
    seconds = f"{best['whole_s']:.1f} s, {best['processor_s']:.1f} s of them on the processor"
    print(f"\n2 x {CELLS} cells of {ROUNDS} rounds read and compared in {seconds}")
    assert best["code"] == 4
    assert text.count("REGRESSED") == SLOWER
    assert set(sides.read(runs[0]).measures) == {one.id for one in axes()}
