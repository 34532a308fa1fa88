"""OpenVINO's latency by this suite and by OpenVINO's own benchmark_app, on the same IR, alternated.

Its defaults pick bf16 and several streams, so every one that matters is said. It gives numbers of two
decimals: the demo's network takes milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from untrained import measured, untrained

from bench.cells.cell import Cell
from bench.machine import fingerprint
from bench.process import environment
from bench.run import artifacts
from bench.run.folder import RunFolder
from bench.stages import conversion
from bench.statistics import paired

PAIRS = 10
SECONDS = 5
PROTOCOL = {
    "warmup_s": 3.0, "warmup_gpu_s": 5.0, "warmup_queries": 10,
    "measured_s": float(SECONDS), "measured_queries": 50, "images": 32,
}  # fmt: skip


def by_benchmark_app(run: RunFolder, cell: Cell) -> float:
    """Return benchmark_app's median latency in ms."""
    tool = Path(sys.executable).with_name("benchmark_app")
    if not tool.exists():
        pytest.skip("benchmark_app is not installed beside this Python")
    folder = run.path / "benchmark_app"
    folder.mkdir(exist_ok=True)
    width, height = run.recipe.model.input_size
    command = [
        tool,
        "-m",
        artifacts.artifact(run.path, cell),
        "-hint",
        "none",
        "-api",
        "sync",
        "-nstreams",
        "1",
    ]
    command += ["-nthreads", str(cell.threads), "-infer_precision", "f32", "-t", str(SECONDS)]
    command += ["-shape", f"[{cell.batch},{height},{width},3]"]
    command += ["-report_type", "no_counters", "-json_stats", "-report_folder", folder]
    env = os.environ | environment.thread_environment(cell.threads, cell.allocator, cell.device)
    subprocess.run(list(map(str, command)), env=env, check=True, capture_output=True, timeout=120)
    report = json.loads((folder / "benchmark_report.json").read_text())
    return float(report["execution_results"]["latency (ms)"])


@pytest.mark.timeout(900)
@pytest.mark.benchmark(group="against benchmark_app")
@pytest.mark.parametrize("threads", sorted({1, fingerprint.usable_cores()}))
@pytest.mark.parametrize("recipe", ["demo", "coco_resnet50_256x192"])
def test_latency_beside_benchmark_app(benchmark: Any, tmp_path: Path, recipe: str, threads: int) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("torch")
    run = untrained(tmp_path, recipe, threads)
    conversion.convert(run, "torch")
    cell = Cell("torch", "openvino", "ir", "fp32", "cpu", 1, threads, "glibc", "latency")
    ours: list[float] = []
    theirs: list[float] = []

    def pair() -> None:
        ways = [lambda: ours.append(measured(run, cell, PROTOCOL)[0]["value"])]
        ways.append(lambda: theirs.append(by_benchmark_app(run, cell)))
        # Who comes first changes with every pair.
        for way in ways if len(ours) % 2 else reversed(ways):
            way()

    benchmark.pedantic(pair, rounds=PAIRS)
    found = paired.paired_ratio(ours, theirs)
    benchmark.extra_info.update({"twinpose_ms": ours, "benchmark_app_ms": theirs, "ratio": found.ratio})
    interval = f"{found.ratio:.4f} [{found.low:.4f}, {found.high:.4f}]"
    print(f"\ntwinpose over benchmark_app, {recipe}, {threads} threads: {interval}, {PAIRS} pairs")
    print("ms, twinpose:     ", " ".join(f"{ms:.3f}" for ms in ours))
    print("ms, benchmark_app:", " ".join(f"{ms:.3f}" for ms in theirs))
    assert len(ours) == len(theirs) == PAIRS
    assert min(ours + theirs) > 0
