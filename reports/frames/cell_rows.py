"""A row for each cell: its axes, its figures over all rounds, or what became of it."""

from __future__ import annotations

from dataclasses import asdict

from bench.cells.runtimes import read_back
from bench.cells.scenarios import SCENARIOS, TIMED
from bench.run.results import CellResult
from reports.formats import Absent, Columns, Value, or_absent, quiet
from reports.run.read import Run
from reports.words import cells, certification

PERCENTILES = ("p50", "p90", "p99")
NO_AP = frozenset(one.name for one in SCENARIOS.values() if one.of_framework)
"""Scenarios that predict nothing."""
NO_SHARE = "no peak for it, or not the network alone is timed"

CELLS: Columns = {
    "id": ("string", "the cell's name in the matrix and in file names"),
    "name": ("string", "its short name among the cells of a lane"),
    "lane": ("string", "cells of one lane may be compared"),
    "twin": ("string", "whose weights: tf or torch"),
    "runtime": ("string", "what executes them"),
    "mode": ("string", "how: eager, graph, compiled, ir"),
    "precision": ("string", "as asked for"),
    "precision_read_back": ("string", "as the runtime said afterwards"),
    "device": ("string", "cpu, cuda or intel-gpu"),
    "batch": ("int64", "images a query"),
    "threads": ("int64", "of the runtime"),
    "allocator": ("string", "of memory: glibc, tuned"),
    "scenario": ("string", "what a round times, or accuracy"),
    "replica": ("int64", "1 for the second arm of the noise floor"),
    "status": ("string", "ok, failed, timeout, oom, unsupported or uncertified"),
    "reason": ("string", "why the status is not ok"),
    "validity": ("string", "VALID, FLAGGED or INVALID"),
    "parity": ("string", "certified or uncertified"),
    "rounds": ("int64", "processes that measured it"),
    "rounds_wanted": ("int64", "by the protocol"),
    "latency_p50_ms": ("float64", "the cell's figure: geometric mean of its rounds' medians"),
    "latency_p90_ms": ("float64", "of the queries of all rounds, which weigh alike"),
    "latency_p99_ms": ("float64", "the same"),
    "rate_per_s": ("float64", "images, steps or samples, by scenario"),
    "images_per_s": ("float64", "of throughput"),
    "steps_per_s": ("float64", "of train"),
    "samples_per_s": ("float64", "of data"),
    "interval_low": ("float64", "95 % over rounds, of p50 in ms or of the rate in 1/s"),
    "interval_high": ("float64", "the same"),
    "share_of_peak": ("float64", "of the machine's best kernel, 0 to 1"),
    "AP": ("float64", "COCO AP of the same network, runtime, mode, precision and device"),
    "accuracy_cell": ("string", "the cell that AP is of"),
    "peak_memory_bytes": (
        "int64",
        "resident; of several processes proportional (PSS)",
    ),
    "peak_device_bytes": ("int64", "memory held on a GPU"),
    "cores_used": ("float64", "median over rounds"),
    "energy_j": ("float64", "of a GPU, beyond idle"),
    "energy_mj_per_image": ("float64", "the same, an image"),
    "certificate": ("string", "the parity certificate that it was timed with"),
    "command": ("string", "measures it again"),
}


def cell_rows(run: Run) -> list[dict[str, Value]]:
    """Return a row for each cell, lane by lane, with the reasons of what is absent."""
    ordered = sorted(
        run.cells, key=lambda c: (*cells.full_lane_key(c.axes), *cells.order(c.axes), c.axes.replica)
    )
    return [_cell(run, one) for one in ordered]


def _cell(run: Run, one: CellResult) -> dict[str, Value]:
    axes, scored, ok = one.axes, cells.accuracy_of(one, run.cells), one.status == "ok"
    no = Absent(f"{one.status}: {one.reason}", quiet=True)

    def recorded(value: float | str | None, why: str) -> Value:
        return quiet(or_absent(value, why)) if ok else no

    low, high = _interval(one, no)
    share, no_share = one.stats.get("share_of_peak"), cells.null_reason(one, "share_of_peak", NO_SHARE)
    return {
        "id": one.id,
        "name": cells.name(axes),
        "lane": axes.lane.id,
        **asdict(axes),
        "precision_read_back": or_absent(read_back(one.effective), "the runtime reported none") if ok else no,
        "status": one.status,
        "reason": or_absent(one.reason, "the cell is measured"),
        "validity": cells.verdict(one) if ok else no,
        "parity": certification.standing(run, [one]),
        "rounds": len(one.rounds),
        "rounds_wanted": one.rounds_wanted,
        **{f"latency_{p}_ms": _percentile(one, p) for p in PERCENTILES},
        "rate_per_s": quiet(cells.rate(one)),
        **{f"{unit}_per_s": quiet(cells.rate(one, asked)) for asked, unit in cells.RATES.items()},
        "interval_low": low,
        "interval_high": high,
        "share_of_peak": recorded(share, no_share) if axes.scenario in TIMED else no,
        "AP": quiet(cells.ap(one, run.cells)) if ok and axes.scenario not in NO_AP else no,
        "accuracy_cell": or_absent(scored.id if scored else None, "the matrix has no accuracy cell for it"),
        "peak_memory_bytes": recorded(cells.most(one, "peak_memory_bytes"), "not recorded"),
        "peak_device_bytes": recorded(cells.most(one, "peak_device_bytes"), "no device memory was read"),
        "cores_used": recorded(cells.cores_used(one), "not recorded"),
        **{n: recorded(one.stats.get(n), "no counter was read") for n in ("energy_j", "energy_mj_per_image")},
        "certificate": or_absent(one.certificate_id, "the cell has none"),
        "command": one.command,
    }


def _percentile(one: CellResult, percentile: str) -> Value:
    """Return a percentile; only a null one of a cell that has others is worth a footnote."""
    value = cells.latency(one, percentile)
    told = percentile in (one.stats.get("nulls") or {})
    return value if told and one.status == "ok" else quiet(value)


def _interval(one: CellResult, no: Absent) -> tuple[Value, Value]:
    found = cells.interval(one)
    if isinstance(found, str) and one.status == "ok":
        no = Absent(found, quiet=True)
    return (no, no) if isinstance(found, str) or one.status != "ok" else found
