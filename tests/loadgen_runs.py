"""LoadGen over a run folder, as tests drive it: short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benching import TESTS, one

from bench import mlperf

SHORT = {"min_duration_s": 0.3, "warmup_s": 1e-9, "server_queries": 40, "samples": 4}
LATENCY, THROUGHPUT = one("latency").cells, one("throughput", batch=4).cells


def drive(run: Path, cells: Any = LATENCY, runner: str = "fake_runners:Sleeper", **given: Any) -> Any:
    asked = {name: given.pop(name) for name in list(given) if name in mlperf.Options.model_fields}
    env = {"PYTHONPATH": TESTS, **given.pop("env", {})}
    chosen = mlperf.Options(**(SHORT | asked))
    settings = {"timeout_s": 60.0, "uncertified": True, **given}
    return mlperf.run(run, cells, chosen, runners={"torch": runner}, env=env, **settings)
