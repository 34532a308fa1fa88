"""How LoadGen is asked to measure, and how far that is from what MLPerf asks of a submission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, ValidationError

from bench.cells.scenarios import SCENARIOS
from pose import strict_yaml
from pose.errors import UserError
from pose.mistakes import explain
from pose.section import Positive, Section

DRIVEN = {one.name: one.loadgen for one in SCENARIOS.values() if one.loadgen}
"""By scenario of a cell: the scenarios of MLPerf that its runner is driven through, in this order."""

CLAIM = "not an MLPerf result: LoadGen drives a network, inputs and settings that are this suite's own"

MLPERF = {
    "SingleStream": {"min_duration_ms": 600_000, "min_query_count": 100},
    "Server": {"min_duration_ms": 600_000, "min_query_count": 100},
    "Offline": {"min_duration_ms": 600_000, "min_sample_count": 24_576},
}
"""The least that MLPerf Inference asks of these scenarios, for the vision networks where they differ.

Source: loadgen/mlperf.conf of mlcommons/inference; 100 is the default of LoadGen's TestSettings.
"""

Above0 = Annotated[float, Field(gt=0)]


class Options(Section):
    """What one cell's tests are given; the same for every cell of a bench."""

    min_duration_s: Above0 = 10.0
    """Of each scenario; MLPerf's own is 600."""
    single_stream_queries: Positive = 100
    """At least, as MLPerf has it; LoadGen's early stopping judges a p90 from 64 on."""
    server_queries: Positive = 662
    """At least; early stopping forgives a p99 its first query above the bound at 662."""
    offline_samples: Positive = 1
    """At least; MLPerf's own is 24,576."""
    samples: Positive = 64
    """Validation inputs in the query sample library, as many as there are at most."""
    warmup_s: Above0 = 1.0
    utilisation: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Server's arrivals a second, as a share of what SingleStream's mean latency allows."""
    target_qps: Above0 | None = None
    """Server's arrivals a second, instead."""
    latency_factor: Above0 = 10.0
    """Server's bound on the p99, in medians of SingleStream."""
    target_latency_ms: Above0 | None = None
    """Server's bound on the p99, instead."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the arrivals and of the order of samples; the same for every cell, so that arms are asked alike."""
    trace: bool = False
    """Also keep LoadGen's trace of every query (mlperf_log_trace.json), for chrome://tracing."""


def parse(given: Sequence[str]) -> Options:
    """Return the options of KEY=VALUE words; UserError for an unknown key or a wrong value."""
    raw: dict[str, Any] = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"--mlperf {word!r} is not KEY=VALUE; expected for example min_duration_s=600")
        try:
            raw[key] = strict_yaml.parse(value)
        except ValueError as error:
            raise UserError(
                f"--mlperf {word!r} has no readable value; expected for example seed=1"
            ) from error
    try:
        return Options.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"--mlperf: {explain(error, Options)}") from error


def deviations(scenario: str, settings: Mapping[str, Any]) -> list[str]:
    """Return where the settings that LoadGen used ask for less than MLPerf does; [] where none does."""
    least = MLPERF[scenario]
    return [
        f"{name} is {settings[name]:,}; MLPerf asks for {least[name]:,}"
        for name in least
        if settings[name] < least[name]
    ]
