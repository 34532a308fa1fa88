"""What a query costs with a runner that computes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.cells.protocol import Protocol
from bench.cells.scenarios import SCENARIOS
from bench.process import launch
from bench.process.affinity import Cores
from bench.rounds.start_round import request, start
from bench.run import results as results_
from bench.run.bench_file import NullCost
from bench.run.folder import RunFolder
from bench.statistics import samples

NULL_RUNNER = "bench.scenarios.null_runner:NullRunner"
NULL_SCENARIOS = tuple(one.name for one in SCENARIOS.values() if one.of == "network")
NULL_WINDOW_S = {"warmup_s": 0.1, "measured_s": 0.5}


def overhead(run: RunFolder, like: Cell) -> NullCost:
    """Return what a query costs with a runner that computes nothing.

    The null runner goes the whole way of a cell: its own process on the lane's processors, a parent that
    looks at it as at any other, the same loop, the same clock.
    """
    found: dict[str, Any] = {"threads": like.threads}
    cores = Cores.mine()
    protocol = Protocol.model_validate({"profile": "quick", **NULL_WINDOW_S, "images": 8})
    for scenario in NULL_SCENARIOS:
        folder = run.path / "bench" / "children" / f"null-{scenario}"
        cell = replace(like, mode="eager", precision="fp32", device="cpu", scenario=scenario)
        with cores.parent_aside():
            outcome = start(
                "bench.scenarios.round:cell",
                request(run, cell, protocol, folder / "samples.npz", runner=NULL_RUNNER),
                folder,
                cell,
                timeout_s=60,
                env={},
                cpus=cores.for_child(like.threads),
                tell=lambda name, fields: None,
            )
        value = launch.value_of(outcome)
        [raw] = results_.load_samples(folder / "samples.npz").values()
        found[f"{scenario}_us"] = {
            "p50": samples.percentile(raw, 50) / 1e3,
            "p99": samples.percentile(raw, 99) / 1e3,
        }
        found["n"] = value["count"]
    return msgspec.convert(found, NullCost)
