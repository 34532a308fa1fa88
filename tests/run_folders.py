"""Bench folders of made-up figures, written as the bench writes them, thousands of cells in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.run import results as results_

MACHINE: dict[str, Any] = {
    "cpu": {"model": "Example CPU @ 2.60GHz", "flags": ["avx2"], "logical": 4, "usable_cores": 2},
    "memory_bytes": 8 * 2**30,
    "os": "Debian GNU/Linux 12 (bookworm)",
    "kernel": "6.1.0",
    "arch": "x86_64",
    "python": "3.11.9",
    "packages": {"torch": "2.14.1", "openvino": None},
    "gpus": [],
    "preload": None,
}
PROTOCOL: dict[str, Any] = {"profile": "standard", "rounds": 7, "rounds_max": 7, "half_width": None}


def cell(scenario: str = "latency", **patch: Any) -> Cell:
    """Return a cell of torch eager; `patch` replaces axes."""
    axes: dict[str, Any] = {"twin": "torch", "runtime": "torch", "mode": "eager", "precision": "fp32"}
    axes |= {"device": "cpu", "batch": 1, "threads": 2, "allocator": "glibc", "scenario": scenario}
    return Cell(**(axes | patch))


def result(axes: Cell, values: Sequence[float], **patch: Any) -> results_.CellResult:
    """Return an ok cell with a round for each of `values`."""
    rounds = [
        results_.Round(
            phases_s={
                "import": 0.5,
                "load": 1.25,
                "compile": None,
                "first": 0.05,
                "warmup": 3.0,
                "measured": 5.0,
            },
            count=240,
            wall_s=11.0,
            started="2026-01-01T00:00:00+00:00",
            number=number,
            pass_=f"pass/{number}",
            value=value,
            stats={
                "latency_ms": {"p50": value, "p90": value * 1.1, "mean": value, "iqr": 0.02 * value},
                "n": 240,
            },
            conditions={"before": {"load": 0.1, "mhz": 2600.0}, "after": {"load": 1.9, "mhz": 2600.0}},
            peak_rss_bytes=600_000_000,
        )
        for number, value in enumerate(values, 1)
    ]
    given: dict[str, Any] = {
        "id": axes.id, "status": "ok", "reason": None, "axes": axes, "hash": "h" * 64,
        "artifact_sha256": "a" * 64, "split_sha256": "s" * 64, "rounds_wanted": len(rounds), "rounds": rounds,
        "effective": {"precision": "fp32", "threads": 2, "version": "2.14.1"},
        "command": f"twinpose bench runs/x -k {axes.id}",
    }  # fmt: skip
    return results_.CellResult(**(given | patch))


def write(
    run: Path,
    results: Sequence[results_.CellResult],
    machine: Mapping[str, Any] = MACHINE,
    protocol: Mapping[str, Any] = PROTOCOL,
    comparisons: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write a run's bench folder and return the run. No fsync a cell: ten thousand would take minutes."""
    results_.folder(run).mkdir(parents=True)
    matrix = {"name": "t", "protocol": dict(protocol), "cells": [one.id for one in results]}
    facts = {"schema": results_.SCHEMA, "matrix": matrix, "machine": dict(machine)}
    (run / "bench" / "bench.json").write_text(json.dumps(facts))
    for one in results:
        text = json.dumps(msgspec.to_builtins(one), indent=2)
        (results_.folder(run) / f"{one.id}.json").write_text(text)
    if comparisons:
        found = {"schema": results_.SCHEMA, "comparisons": list(comparisons), "counts": {}}
        (run / "bench" / "comparisons.json").write_text(json.dumps(found))
    return run
