"""What LoadGen wrote of one test, read from its detail log: lines of JSON after a mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.mlperf.options import deviations
from bench.mlperf.records import LoadGenTest
from bench.statistics.samples import why_withheld

MARK = ":::MLLOG "
DETAIL = "mlperf_log_detail.txt"

PERCENTS = {"p50": 50, "p90": 90, "p99": 99}
"""By the name that a row gives it."""

KEYS = {name: f"{percent:.2f}_percentile" for name, percent in PERCENTS.items()} | {
    name: name for name in ("mean", "min", "max")
}
"""By the name that a row gives a figure: the one that LoadGen gives it."""

QPS = {
    "SingleStream": "result_qps_with_loadgen_overhead",
    "Server": "result_completed_samples_per_sec",
    "Offline": "result_samples_per_second",
}


class LogError(Exception):
    """A test left no whole log."""


def read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the last value of each key, and LoadGen's own warnings and errors.

    A line that is no record (a message cut off, or of several lines) is passed over.
    """
    values: dict[str, Any] = {}
    complaints = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        record = _record(line)
        if record is None:
            continue
        values[record["key"]] = record["value"]
        metadata = record.get("metadata") or {}
        if metadata.get("is_error") or metadata.get("is_warning"):
            complaints.append(str(record["value"]))
    return values, complaints


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith(MARK):
        return None
    try:
        found = json.loads(line.removeprefix(MARK))
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() >= {"key", "value"} else None


def result(folder: Path, scenario: str) -> LoadGenTest:
    """Return what LoadGen found in the test whose logs lie in `folder`; LogError when it says nothing.

    result_valid is LoadGen's own verdict under the settings beside it; latencies are in nanoseconds.
    """
    found, complaints = read(folder / DETAIL)
    if "result_validity" not in found:
        raise LogError(f"LoadGen wrote no result into {folder / DETAIL}")
    settings = {k.removeprefix("effective_"): v for k, v in found.items() if k.startswith("effective_")}
    offline = scenario == "Offline"
    queries = found["result_query_count"]
    latency_ns, nulls = _latencies(found, 0 if offline else queries)
    server = scenario == "Server"
    return {
        "scenario": scenario,
        "result_valid": found["result_validity"] == "VALID",
        "early_stopping_met": None if offline else found["early_stopping_met"],
        "early_stopping_p90_ns": found.get("early_stopping_latency_ss") or None,
        "bound_met": found["result_perf_constraints_met"] if server else None,
        "over_bound": found["result_overlatency_query_count"] if server else None,
        "latency_ns": latency_ns,
        "nulls": nulls,
        "qps": found[QPS[scenario]],
        "queries": queries,
        "samples": settings["samples_per_query"] * queries,
        "min_duration_ms": settings["min_duration_ms"],
        "target_qps": settings["target_qps"] if server else None,
        "target_latency_ns": settings["target_latency_ns"] if server else None,
        "reasons": _reasons(found),
        "warnings": complaints,
        "deviations": deviations(scenario, settings),
        "settings": settings,
        "loadgen": found["loadgen_version"],
    }


def _latencies(found: dict[str, Any], queries: int) -> tuple[dict[str, int | None], dict[str, str]]:
    """Return the figures by name, null where `queries` are too few, and why those are null."""
    if not queries:
        nulls = dict.fromkeys(KEYS, "Offline is one query: no latency of a sample")
    else:
        withheld = {name: why_withheld(percent, queries) for name, percent in PERCENTS.items()}
        nulls = {name: reason for name, reason in withheld.items() if reason}
    return {name: None if name in nulls else found[f"result_{KEYS[name]}_latency_ns"] for name in KEYS}, nulls


def _reasons(found: dict[str, Any]) -> list[str]:
    """Return why LoadGen calls a result invalid."""
    texts = {
        "result_perf_constraints_met": "the p99 is above the bound",
        "result_min_duration_met": "the test was shorter than the minimum",
        "result_min_queries_met": "the test had fewer queries than the minimum",
        "early_stopping_met": "early stopping: " + " ".join(str(found.get("early_stopping_result")).split()),
    }
    return [text for key, text in texts.items() if found.get(key) is False]
