"""What a cell that LoadGen drove leaves in bench/mlperf/ID.json."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from bench.cells.cell import Cell


class LoadGenTest(TypedDict):
    """What LoadGen found in one of its scenarios."""

    scenario: str
    """SingleStream, Server or Offline."""
    result_valid: bool
    """LoadGen's own verdict, under `settings`."""
    early_stopping_met: bool | None
    early_stopping_p90_ns: int | None
    bound_met: bool | None
    """Whether Server's p99 is within `target_latency_ns`; null of the others."""
    over_bound: int | None
    """Queries of Server above it."""
    latency_ns: dict[str, int | None]
    """By name: min, mean, max and percentiles."""
    nulls: dict[str, str]
    """Why a latency is null."""
    qps: float
    """Samples a second; of Server its completed queries."""
    queries: int
    samples: int
    answered: NotRequired[int]
    """Samples that the runner answered."""
    min_duration_ms: int
    target_qps: float | None
    """Server's arrivals a second."""
    target_latency_ns: int | None
    reasons: list[str]
    """Why the result is invalid."""
    warnings: list[str]
    """LoadGen's own."""
    deviations: list[str]
    """Where the settings ask for less than MLPerf does."""
    settings: dict[str, Any]
    """As LoadGen used them."""
    loadgen: str
    """Its version."""


class LoadGenRow(TypedDict):
    """One cell, whatever became of it."""

    schema: int
    id: str
    status: str
    reason: str | None
    claim: str
    """That this is no MLPerf result."""
    axes: Cell
    hash: str
    """Over everything that decides it, except the machine."""
    artifact_sha256: str | None
    split_sha256: str
    certificate_id: str | None
    options: dict[str, Any]
    """What it was asked for."""
    started: str
    """ISO 8601, UTC."""
    wall_s: float
    scenarios: list[LoadGenTest]
    effective: dict[str, Any]
    """What the runtime said it does, read back."""
    phases_s: dict[str, float | None]
    peak_rss_bytes: int | None
    logs: str
    """The folder of LoadGen's own logs, below the run."""
    command: str
    """The command that measures it again."""
