"""A described device and machine: a round is measured on them by a clock that nothing else moves."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from benching import one

from bench.machine import conditions
from bench.machine.conditions import Conditions
from bench.process import launch
from bench.rounds import round_record
from bench.run import results
from bench.scenarios import round as round_
from bench.scenarios.null_runner import NullRunner
from pose import recipe as recipes

QUERY_NS = 10_000_000
PROTOCOL = {
    "warmup_s": 0.0, "warmup_gpu_s": 0.0, "warmup_queries": 3, "measured_s": 0.2, "measured_queries": 10,
    "images": 4,
}  # fmt: skip
MEASURED = 20
"""Queries of 10 ms in the measured phase."""
MOST = 5000
"""What a device is ever asked in one round."""


class Device:
    """A queue whose work takes 10 ms a batch, by a clock that nothing else moves; notes what it is asked."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.queued_ns = 0
        self.log: list[str] = []

    def clock(self) -> int:
        """Return now, in nanoseconds: what time.perf_counter_ns is replaced by."""
        return self.now_ns

    def give(self, what: str, batches: int) -> None:
        """Queue work; a call never waits for it."""
        assert len(self.log) < MOST, "the clock stands still: nothing waits for the device"
        if self.queued_ns:
            self.log.append("unsynchronised")
        self.log.append(what)
        self.queued_ns += batches * QUERY_NS

    def wait(self) -> None:
        """Return when the queue is empty."""
        self.now_ns += self.queued_ns
        self.queued_ns = 0

    def heard(self, name: str, said: dict[str, Any]) -> None:
        """Note the end of a phase, as the round tells its parent."""
        self.log.append(f"end of {said['phase']}")

    def during(self, phase: str) -> list[str]:
        """Return what was asked in a phase; of the measured one, since conditions were read."""
        end = self.log.index(f"end of {phase}")
        starts = [i for i in range(end) if self.log[i].startswith("end of ") or self.log[i] == "read"]
        return self.log[starts[-1] + 1 : end]


def offer(monkeypatch: pytest.MonkeyPatch, device: Device, **more: Any) -> None:
    """Let rounds find `here:Runner`, which works on a device and has `more` methods."""

    class Asynchronous(NullRunner):
        """Returns before the device has done anything."""

        def infer(self, images: np.ndarray) -> np.ndarray:
            device.give("infer", 1)
            return super().infer(images)

        def submit_all(self, batches: list[np.ndarray]) -> None:
            device.give("submit", len(batches))

        def synchronize(self) -> None:
            device.log.append("synchronise")
            device.wait()

    module = ModuleType("here")
    vars(module)["Runner"] = type("Runner", (Asynchronous,), more)
    monkeypatch.setitem(sys.modules, "here", module)


def payload(run: Path, scenario: str, device: str = "cpu", batch: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the request of one round; `changes` are the protocol's fields or the payload's."""
    spec = {
        "recipe": recipes.load(str(run / "recipe.yaml")).model_dump(mode="json"), "artifact": "",
        "mode": "eager", "precision": "fp32", "device": device, "threads": 2, "batch": batch,
        "scenario": scenario,
    }  # fmt: skip
    protocol = PROTOCOL | {name: changes.pop(name) for name in list(changes) if name in PROTOCOL}
    return {
        "runner": "here:Runner", "spec": spec, "protocol": protocol,
        "coco": json.loads((run / "run.json").read_text())["coco"], "split_file": str(run / "split.json"),
        "boxes": None, "samples": str(run / "samples.npz"), "idle_w": None, **changes,
    }  # fmt: skip


def measured(device: Device, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what one round gave, and its raw samples."""
    found = round_.cell(request, device.heard)
    with np.load(request["samples"]) as arrays:
        return found, dict(arrays)


def stored(value: dict[str, Any], run: Path) -> results.Round:
    """Return the round that a parent makes of what its child gave, read back from the run."""
    chosen = one().cells[0]
    empty = results.CellResult(
        id=chosen.id, status="ok", reason=None, axes=chosen, hash="", artifact_sha256=None,
        split_sha256="", command="",
    )  # fmt: skip
    made = round_record.round_of(value, launch.Outcome("ok", None, value, 1.0), "", 1, "p", empty)
    [kept] = results.read(results.save(run, msgspec.structs.replace(empty, rounds=[made]))).rounds
    return kept


QUIET = Conditions(
    monotonic_s=100.0, cpus=(0, 1), cpu_s=5.0, children_cpu_s=0.0, steal_s=1.0, busy_s=50.0,
    load_average=0.4, voluntary_switches=10, involuntary_switches=3, throttle_events=7,
    quota_throttled_s=0.5, clock_mhz=3000.0,
)  # fmt: skip


def readings(monkeypatch: pytest.MonkeyPatch, device: Device, **changed: Any) -> tuple[Conditions, ...]:
    """Describe a machine on which a round uses 1.5 cores for ten seconds; return what is read of it."""
    before = QUIET
    after = replace(QUIET, **({"monotonic_s": 110.0, "cpu_s": 20.0, "busy_s": 65.2} | changed))

    def read(like: Conditions | None = None) -> Conditions:
        device.log.append("read")
        return before if like is None else after

    monkeypatch.setattr(conditions, "read", read)
    return before, after
