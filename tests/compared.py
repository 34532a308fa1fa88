"""Two runs of made-up cells, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import run_folders

from bench.cells.cell import Cell
from bench.compare import rows as rows_
from bench.compare import sides
from bench.compare.records import ComparedCell, ComparedRuns
from bench.run.results import CellResult

LATENCY = run_folders.cell()
THROUGHPUT = run_folders.cell("throughput", batch=8)
ACCURACY = run_folders.cell("accuracy", batch=8)


def around(middle: float, seed: int = 0, rounds: int = 7, scatter: float = 0.004) -> list[float]:
    return (middle * np.exp(np.random.default_rng(seed).normal(0, scatter, rounds))).tolist()


def found(tmp_path: Path, a: list[CellResult], b: list[CellResult], **options: Any) -> ComparedRuns:
    of_b = {name: options.pop(name) for name in ("machine", "protocol") if name in options}
    verdicts = options.pop("verdicts", ((), ()))
    first = run_folders.write(tmp_path / "a", a, comparisons=verdicts[0])
    second = run_folders.write(tmp_path / "b", b, comparisons=verdicts[1], **of_b)
    return rows_.compare_sides(sides.read(first), sides.read(second), **options)


def timed(tmp_path: Path, cell: Cell, a: list[float], b: list[float], **options: Any) -> ComparedCell:
    results = [run_folders.result(cell, values) for values in (a, b)]
    [row] = found(tmp_path, [results[0]], [results[1]], **options).rows
    return row
