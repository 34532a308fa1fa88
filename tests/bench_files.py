"""A measured matrix by hand, as `twinpose bench` leaves it: passes, an A/A pair, and what went wrong."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import ladder_files
import msgspec
import numpy as np
from scipy import stats as scipy_stats

from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS
from bench.run import results
from bench.run.results import CellResult, Round
from bench.statistics import samples
from bench.statistics.validity import Validity
from bench.verdicts.comparisons import COMPARISON_SETS

AP = {"tf": 0.409, "torch": 0.418}
SITTING = "20250102T030405.000000Z-77"
PROTOCOL = {
    "profile": "official",
    "rounds": 10,
    "rounds_max": 30,
    "half_width": 0.01,
    "warmup_s": 3.0,
    "warmup_gpu_s": 10.0,
    "warmup_queries": 50,
    "measured_s": 10.0,
    "measured_queries": 10,
    "percentiles": [50.0, 90.0, 99.0],
    "images": 32,
    "timeout_s": 600.0,
}
KINDS = (
    ("torch", "torch", "eager", "fp32", 21.4),
    ("torch", "torch", "compiled", "fp32", 17.2),
    ("tf", "tf", "graph", "fp32", 24.9),
    ("tf", "tf", "compiled", "fp32", 20.1),
    ("torch", "onnxruntime", "ir", "fp32", 15.9),
    ("torch", "openvino", "ir", "fp32", 12.3),
    ("tf", "openvino", "ir", "fp32", 12.35),
    ("torch", "openvino", "ir", "bf16", 7.3),
    ("tf", "openvino", "ir", "bf16", 7.2),
)
"""twin, runtime, mode, precision and ms of a query."""

BROKEN = {
    "torch-torch-compiled-fp32-cpu-b8-t2-glibc-throughput": (
        *("timeout", "no answer after 300 s; log: bench/children/x/log.txt"),
    ),
    "tf-tf-compiled-fp32-cpu-b1-t2-glibc-latency": (
        *("failed", "InternalError: <b>XLA</b> compilation failed"),
    ),
    "tf-openvino-ir-bf16-cpu-b8-t2-glibc-throughput": ("oom", "killed by SIGKILL above 7.2 GiB"),
    "torch-torch-eager-fp32-cuda-b1-t2-glibc-latency": (*("unsupported", "this machine has no CUDA device"),),
}
PHASES_S = {"import": 1.9, "load": 0.4, "compile": None, "first": 0.1, "warmup": 3.0, "measured": 10.0}
FLAGGED = "torch-onnxruntime-ir-fp32-cpu-b1-t2-glibc-latency"
INVALID = "torch-torch-compiled-fp32-cpu-b1-t2-glibc-latency"
NOISY = "tf-openvino-ir-fp32-cpu-b8-t2-glibc-throughput"
"""Valid, but so uneven between rounds that nothing can be said of it."""
FIRST = "torch-torch-eager-fp32-cpu-b1-t2-glibc-latency"
ADAPTIVE_ROUNDS = 14
"""Of the strict-fp32 latency lane, whose stopping rule asked for four more."""


def cells() -> list[Cell]:
    """Return the matrix's cells and the second arm of its first."""
    found = []
    for twin, runtime, mode, precision, _ in KINDS:
        for scenario, batch in (("latency", 1), ("throughput", 8), ("accuracy", 8)):
            found.append(Cell(twin, runtime, mode, precision, "cpu", batch, 2, "glibc", scenario))
    strict = [kind for kind in KINDS if kind[3] == "fp32" and kind[2] != "compiled"]
    found += [Cell(*kind[:4], "cpu", 1, 2, "glibc", "pipeline") for kind in strict]
    for twin, mode in (("torch", "eager"), ("tf", "graph")):
        found += [Cell(twin, twin, mode, "fp32", "cpu", 16, 2, "glibc", s) for s in ("train", "data")]
    found.append(Cell("torch", "torch", "eager", "fp32", "cuda", 1, 2, "glibc", "latency"))
    return [*found, replace(found[0], replica=1)]


def rounds_of(cell: Cell) -> int:
    """Return how many rounds a cell has: one where an accuracy is measured."""
    if cell.scenario == "accuracy":
        return 1
    adaptive = (cell.scenario, cell.precision) == ("latency", "fp32")
    return ADAPTIVE_ROUNDS if adaptive else int(PROTOCOL["rounds"])


def pass_id(cell: Cell, number: int) -> str:
    """Return the sweep over a cell's lane that its round was part of."""
    return f"{SITTING}/{cell.lane.id}/{number}"


def base(cell: Cell) -> float:
    """Return what a round's value lies about: ms of a query, or images, steps or samples a second."""
    kind = (cell.twin, cell.runtime, cell.mode, cell.precision)
    ms = next(ms for *axes, ms in KINDS if tuple(axes) == kind)
    return {
        "latency": ms,
        "throughput": 1350.0 / ms,
        "pipeline": ms + 6.1,
        "train": 74.0 / ms,
        "data": 212.0 if cell.twin == "torch" else 187.0,
        "accuracy": AP[cell.twin] - (0.0031 if cell.precision == "bf16" else 0.0),
    }[cell.scenario]


def values(cell: Cell) -> list[float]:
    """Return a value for each round: every pass has its own pace, which all cells of the lane share."""
    if cell.scenario == "accuracy":
        return [base(cell)]
    count = rounds_of(cell)
    spread = 0.06 if cell.id == NOISY else 0.004
    pace = np.random.default_rng(zlib.crc32(cell.lane.id.encode())).normal(0, 0.01, count)
    own = np.random.default_rng(zlib.crc32(cell.id.encode())).normal(0, spread, count)
    return [float(base(cell) * math.exp(step)) for step in pace - pace.mean() + own]


def rounds(cell: Cell) -> list[Round]:
    """Return a cell's rounds; in the third and fourth passes someone else's work took processor time."""
    flagged = Validity("FLAGGED", ["IQR is 12.1% of the median"])
    invalid = Validity("INVALID", ["IQR is 31.0% of the median"])
    validity = {FLAGGED: flagged, INVALID: invalid}.get(cell.id, Validity())
    doubts = {
        3: ["the hypervisor took 2.1% of the processors' time"],
        4: ["the hypervisor took 1.3% of the processors' time"],
    }
    return [
        Round(
            phases_s=PHASES_S,
            count=count(cell),
            wall_s=16.5,
            started=f"2025-01-02T03:{5 + number:02d}:00+00:00",
            number=number,
            pass_=pass_id(cell, number),
            value=value,
            validity=validity,
            conditions={} if cell.scenario == "accuracy" else {
                "before": {"load_1min": 0.4},
                "after": {"load_1min": 1.9},
                "doubts": doubts.get(number, []),
                "cores_used": 1.0 if cell.scenario == "data" else 1.96,
            },
            peak_rss_bytes=int(6e8 + base(cell) * 1e6 + number),
        )
        for number, value in enumerate(values(cell), 1)
    ]  # fmt: skip


def count(cell: Cell) -> int:
    """Return the queries, batches, steps or samples of one round of 10 s."""
    return 45 if cell.scenario == "pipeline" else int(10_000 / base(cell)) + 1


def figures(cell: Cell) -> dict[str, Any]:
    """Return a cell's stats over its rounds."""
    if cell.scenario == "accuracy":
        scored = {"AP50": 0.71, "APM": 0.33, "APL": -1.0, "AR": 0.5, "instances": 190, "images": 80}
        return {"AP": base(cell), **scored}
    logs = [math.log(value) for value in values(cell)]
    middle, n = math.exp(float(np.mean(logs))), count(cell) * len(logs)
    found: dict[str, Any] = {
        "value": middle,
        "interval": [math.exp(end) for end in samples.t_interval(logs)],
        "n": n,
        "energy_j": None,
        "peak_device_bytes": None,
    }
    if SCENARIOS[cell.scenario].less_is_faster:
        return found | latency(base(cell), n) | parts(cell)
    unit = {"throughput": "images", "train": "steps", "data": "samples"}[cell.scenario]
    return found | {f"{unit}_per_s": base(cell)} | parts(cell)


def latency(ms: float, n: int) -> dict[str, Any]:
    """Return percentiles of n queries; p99 needs 662."""
    enough = n >= 662
    factors = {"p50": 1.0, "p90": 1.08, "p99": 1.31, "mean": 1.02, "min": 0.97, "max": 1.6, "iqr": 0.05}
    found = {name: ms * factor for name, factor in factors.items()}
    nulls = {} if enough else {"p99": f"{n} queries, needs 662"}
    return {"latency_ms": {**found, **({} if enough else {"p99": None})}, "nulls": nulls}


def parts(cell: Cell) -> dict[str, Any]:
    """Return what only some scenarios have: share of peak, spans or phases."""
    ms = base(cell)
    if cell.scenario in {"latency", "throughput"}:
        images_per_s = 1e3 / ms if cell.scenario == "latency" else ms
        return {"share_of_peak": images_per_s * (0.002 if cell.precision == "bf16" else 0.0057)}
    if cell.scenario == "pipeline":
        return {"spans_ms": {"decode": 3.4, "warp": 1.6, "network": ms - 6.1, "keypoints": 1.1}}
    if cell.scenario == "train":
        step = 1e3 / ms
        shares = {"forward": 0.32, "backward": 0.6, "optimizer": 0.08}
        phases = {name: step * share for name, share in shares.items()}
        return {"phases_ms": {"to_device": None, **phases, "step": step}}
    return {}


def result(cell: Cell, split_sha256: str) -> CellResult:
    """Return a cell as the bench stores it."""
    status, reason = BROKEN.get(cell.id, ("ok", None))
    ok = status == "ok"
    measured = rounds(cell) if ok else []
    return CellResult(
        id=cell.id,
        status=status,
        reason=reason,
        axes=cell,
        effective={"precision": cell.precision, "threads": cell.threads} if ok else {},
        hash="ef" * 32,
        artifact_sha256="ab" * 32,
        split_sha256=split_sha256,
        rounds_wanted=1 if cell.scenario == "accuracy" else 10,
        rounds=measured,
        stats=figures(cell) if ok else {},
        validity=measured[0].validity if measured else Validity(),
        certificate_id=ladder_files.certificate_id(cell) if ok else None,
        command=f"twinpose bench runs/demo -k {cell.id.removesuffix('-again')}",
    )


def compared(found: list[CellResult]) -> list[dict[str, Any]]:
    """Return comparisons.json's list: by set and lane, then the noise floor."""
    lanes = {cell.axes.lane: cell for cell in found if cell.axes.scenario != "accuracy"}
    rows = []
    for lane, (name, members) in itertools.product(lanes, COMPARISON_SETS.items()):
        first = [cell for cell in found if cell.axes.lane == lane and not cell.axes.replica]
        kinds = [cell for cell in first if (cell.axes.runtime, cell.axes.mode) in members]
        pairs = itertools.combinations(kinds, 2)
        seen = {(row["a"], row["b"]) for row in rows}
        rows += [compare(name, a, b) for b, a in pairs if (a.id, b.id) not in seen]
    ranked = [row for row in rows if row["p"] is not None]
    reached = 0.0
    for rank, row in enumerate(sorted(ranked, key=lambda row: row["p"])):
        reached = row["p_holm"] = max(reached, min(1.0, row["p"] * (len(ranked) - rank)))
        row["verdict"] = verdict(row)
    by_id = {cell.id: cell for cell in found}
    return [*rows, noise(by_id[f"{FIRST}-again"], by_id[FIRST])]


def compare(name: str, a: CellResult, b: CellResult) -> dict[str, Any]:
    """Return the comparison of two cells of a lane, without what only the whole matrix decides."""
    row: dict[str, Any] = {"lane": a.axes.lane.id, "set": name, "a": a.id, "b": b.id}
    row |= {"scenario": a.axes.scenario, "n": min(len(a.rounds), len(b.rounds)), "p": None, "p_holm": None}
    row |= {"verdict": None, "reason": None, "ratio": None, "interval": None, "p_equivalence": None}
    for cell in (a, b):
        if cell.status != "ok":
            return row | {"reason": f"{cell.id} is {cell.status}: {cell.reason}"}
        if cell.validity.verdict == "INVALID":
            return row | {"reason": f"{cell.id} is INVALID: {cell.validity.reasons[0]}"}
    logs = [
        math.log(x.value / y.value) for x, y in zip(a.rounds, b.rounds, strict=True) if x.value and y.value
    ]
    flagged = [cell for cell in (a, b) if cell.validity.verdict == "FLAGGED"]
    margin, t = math.log1p(0.02), scipy_stats.ttest_1samp
    p = float(t(logs, 0).pvalue)
    outside = max(t(logs, -margin, alternative="greater").pvalue, t(logs, margin, alternative="less").pvalue)
    ends = [math.exp(end) for end in samples.t_interval(logs)]
    ratio, less = math.exp(float(np.mean(logs))), SCENARIOS[a.axes.scenario].less_is_faster
    return row | {
        "ratio": ratio,
        "interval": ends,
        "speedup": 1 / ratio if less else ratio,
        "speedup_interval": [1 / end for end in reversed(ends)] if less else ends,
        "p": p,
        "p_equivalence": float(outside),
        "reason": "; ".join(f"{c.id}: {c.validity.reasons[0]}" for c in flagged) or None,
    }


def verdict(row: dict[str, Any]) -> str:
    """Return the verdict of a compared pair: equivalence first, then a difference that holds under Holm."""
    if row["p_equivalence"] <= 0.05:
        return "equivalent"
    if row["p_holm"] > 0.05:
        return "inconclusive"
    return "faster" if (row["ratio"] < 1) == SCENARIOS[row["scenario"]].less_is_faster else "slower"


def noise(again: CellResult, first: CellResult) -> dict[str, Any]:
    """Return the comparison of a cell with itself."""
    row = compare("noise floor", again, first)
    return row | {"verdict": verdict({**row, "p_holm": row["p"]})}


def bench_json(found: list[CellResult], machine: dict[str, Any], floor: dict[str, Any]) -> dict[str, Any]:
    """Return bench.json: a sitting of the official profile whose noise floor holds 1."""
    started, ended = "2025-01-02T03:04:05+00:00", "2025-01-02T05:04:05+00:00"
    kept = {key: floor[key] for key in ("a", "b", "n", "ratio", "interval")}
    return {
        "schema": results.SCHEMA,
        "matrix": {
            "name": "demo",
            "protocol": PROTOCOL,
            "cells": [cell.id for cell in found if not cell.axes.replica],
        },
        "machine": machine,
        "started": started,
        "sittings": [
            {"id": SITTING, "seed": 3141, "command": "twinpose bench", "started": started, "ended": ended}
        ],
        "null": {
            "threads": 2,
            "latency_us": {"p50": 2.9, "p99": 6.4},
            "throughput_us": {"p50": 3.4, "p99": 7.0},
            "n": 151_234,
        },
        "limits": {
            "peaks": [peak("fp32", 141.3, "3x3 convolution"), peak("bf16", 402.8, "matrix product")],
            "bandwidth_gb_s": {"2": 18.4},
            "reasons": {"tf": "no time for 2 thread(s) in 20 s; a longer budget measures it"},
        },
        "noise": {
            "history": [
                {**kept, "ratio": 1.0011, "interval": [0.9975, 1.0047], "sitting": "earlier"},
                {**kept, "sitting": SITTING},
            ],
            "verdict": "VALID",
            "reasons": [],
        },
    }  # fmt: skip


def peak(precision: str, gflops: float, kernel: str) -> dict[str, Any]:
    """Return one ceiling of the machine."""
    return {"precision": precision, "threads": 2, "gflops": gflops, "kernel": kernel, "library": "oneDNN"}


def journal(found: list[CellResult]) -> str:
    """Return passes.jsonl, whose last line a killed process left unfinished."""
    lines = []
    timed = [cell for cell in found if cell.rounds]
    for lane in dict.fromkeys(cell.axes.lane for cell in timed):
        members = [cell for cell in timed if cell.axes.lane == lane]
        for number in range(1, rounds_of(members[0].axes) + 1):
            order = sorted(cell.id for cell in members)
            np.random.default_rng(number).shuffle(order)
            name = pass_id(members[0].axes, number)
            lines += [
                {"pass": name, "lane": lane.id, "order": order, "seed": 3141, "sitting": SITTING},
                {"pass": name, "ended": "2025-01-02T04:00:00+00:00"},
            ]
    return "".join(json.dumps(line) + "\n" for line in lines) + '{"pass": "torn'


def write(run: Path, split_sha256: str, machine: dict[str, Any]) -> list[CellResult]:
    """Write the whole bench of a run; return its cells."""
    found = [result(cell, split_sha256) for cell in cells()]
    for one in found:
        results.save(run, one)
    rows = compared(found)
    bench = run / "bench"
    facts = {"comparisons.json": {"schema": results.SCHEMA, "comparisons": rows}}
    facts["bench.json"] = bench_json(found, machine, rows[-1])
    for name, content in facts.items():
        (bench / name).write_text(json.dumps(content))
    (bench / "passes.jsonl").write_text(journal(found))
    return found


def as_first_pass(run: Path) -> None:
    """Turn a run's bench into one that was killed in its first pass: one round a cell, no verdict."""
    for name in ("comparisons.json", "passes.jsonl"):
        (run / "bench" / name).unlink()
    facts = json.loads((run / "bench" / "bench.json").read_text())
    kept = {key: facts[key] for key in ("schema", "machine", "started")}
    matrix = {**facts["matrix"], "protocol": {"warmup_s": 1.0, "measured_s": 3.0, "images": 32}}
    (run / "bench" / "bench.json").write_text(json.dumps({**kept, "matrix": matrix}))
    for one in results.cells(run):
        if one.axes.replica:
            (results.folder(run) / f"{one.id}.json").unlink()
            continue
        stats = {k: v for k, v in one.stats.items() if k not in {"value", "interval", "share_of_peak"}}
        first = [msgspec.structs.replace(first, peak_rss_bytes=621_000_000) for first in one.rounds[:1]]
        results.save(run, msgspec.structs.replace(one, rounds=first, stats=stats, protocol={}))
