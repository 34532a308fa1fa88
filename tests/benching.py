"""A matrix of one cell, measured with a runner that needs no framework."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from bench.cells import filter as filter_
from bench.cells import matrix
from bench.contract import plain
from bench.process import launch, worker
from bench.rounds import session
from bench.rounds.measure import measure
from bench.rounds.passes import Session
from bench.rounds.session import BenchRequest
from bench.rounds.start_round import Means
from bench.run import folder, set_aside
from bench.run.results import CellResult
from pose.files import write_json

TESTS = str(Path(__file__).parent / "bench")
PROTOCOL = {
    "rounds": 1,
    "tries": 1,
    "warmup_s": 0.05,
    "warmup_gpu_s": 0.05,
    "warmup_queries": 3,
    "measured_s": 0.1,
    "images": 4,
    "timeout_s": 60,
}


def one(scenario: str | list[str] = "latency", batch: int = 1, **patch: Any) -> matrix.Matrix:
    block = {"twin": "torch", "runtime": "torch", "mode": "eager", "scenario": scenario, "batch": batch}
    protocol = {**PROTOCOL, **patch.pop("protocol", {})}
    return matrix.from_dict({"name": "t", "protocol": protocol, "blocks": [{**block, "threads": 2, **patch}]})


def bench(run: Path, chosen: matrix.Matrix, runner: str = "Sleeper", **options: Any) -> list[CellResult]:
    runners = {"torch": f"fake_runners:{runner}", "onnxruntime": "fake_runners:Sleeper"}
    return measured(run, chosen, runners=runners, env={"PYTHONPATH": TESTS}, **options)


def measured(
    run: Path,
    chosen: matrix.Matrix,
    *,
    on_event: launch.OnEvent | None = None,
    drawn_by: Session | None = None,
    **options: Any,
) -> list[CellResult]:
    """Plan and measure, and leave the closing out; options are BenchRequest's fields or Means's."""
    tell = on_event or (lambda name, fields: None)
    means = {name: options.pop(name) for name in ("runners", "env") if name in options}
    request = BenchRequest(**{"uncertified": True, **options})
    cells = filter_.select(chosen.cells, request.only)
    made = folder.opened(run)
    stored = set_aside.stored(made.path, damaged={cell.id for cell in cells})
    agenda = session.prepared(made, replace(chosen, cells=cells), stored, request, tell)
    return measure(agenda, Means(drawn_by or Session.begin(), tell, request.seconds(chosen), **means))


def call_here(
    entry: str,
    payload: Mapping[str, Any],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    on_event: launch.OnEvent | None = None,
    **bounds: Any,
) -> launch.Outcome:
    """Do in this process what launch.call does in a fresh one: for tests of what becomes of a round.

    A runner must neither crash nor hang here: nothing bounds it.
    """
    (folder / "events.jsonl").unlink(missing_ok=True)
    write_json(folder / "request.json", {"entry": entry, "payload": plain(payload)})
    began_s = time.monotonic()
    with mock.patch.dict(os.environ, env or {}):
        found = worker.run(folder)
    wall_s = time.monotonic() - began_s
    for line in (folder / "events.jsonl").read_text().splitlines():
        fields = json.loads(line)
        name = fields.pop("event")
        if on_event:
            on_event(name, fields)
    return launch.Outcome(found.status, found.reason, found.value, wall_s)
