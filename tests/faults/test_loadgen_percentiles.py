"""LoadGen's table gives a percentile as every other table does: of enough queries, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.mlperf import logs, options
from bench.statistics.samples import pooled_percentiles, queries_needed


def found_of(folder: Path, queries: int, scenario: str = "SingleStream") -> dict[str, Any]:
    """Return what is read from a detail log of so many queries, each of a millisecond."""
    latencies = {f"result_{key}_latency_ns": 1_000_000 for key in logs.KEYS.values()}
    least = {f"effective_{name}": value for name, value in options.MLPERF[scenario].items()}
    values = {
        "result_validity": "VALID",
        "result_query_count": queries,
        "early_stopping_met": True,
        "loadgen_version": "6",
        "effective_samples_per_query": 1,
        logs.QPS[scenario]: 1000.0,
        **latencies,
        **least,
    }
    folder.mkdir(exist_ok=True)
    lines = [f":::MLLOG {json.dumps({'key': key, 'value': value})}" for key, value in values.items()]
    (folder / logs.DETAIL).write_text("\n".join(lines), encoding="utf-8")
    return logs.result(folder, scenario)


def test_a_median_of_one_query_is_not_given_and_the_reason_says_how_many_it_needs(tmp_path: Path):
    one_query = found_of(tmp_path, 1)
    assert {name: one_query["latency_ns"][name] for name in ("p50", "p90", "p99")} == {
        "p50": None,
        "p90": None,
        "p99": None,
    }
    assert one_query["nulls"] == {
        "p50": "1 query, needs 11",
        "p90": "1 query, needs 64",
        "p99": "1 query, needs 662",
    }
    assert one_query["latency_ns"]["mean"] == 1_000_000


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_loadgens_table_and_the_bench_need_equally_many_queries(tmp_path: Path, percent: int):
    name, needed = f"p{percent}", queries_needed(percent)
    for queries in (needed - 1, needed):
        by_loadgen = found_of(tmp_path, queries)
        by_bench = pooled_percentiles([np.full(queries, 1_000_000)], [percent])
        assert by_loadgen["latency_ns"][name] == by_bench[name]
        assert (name in by_loadgen["nulls"]) == (name in by_bench["nulls"]) == (queries < needed)
