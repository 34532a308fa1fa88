"""The described device of every runner that a round finds, and cells that no busy machine spoils."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import cv2
import pytest
from described_device import Device, offer, readings

from bench.machine import conditions, energy, thread_pools
from bench.rounds import null_cost
from bench.scenarios import network, pipeline
from bench.scenarios import round as round_
from bench.statistics import validity


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """Return the device of every runner that `offer` offers; its clock is the round's, and all is quiet."""
    made = Device()
    monkeypatch.setattr(round_, "time", SimpleNamespace(perf_counter_ns=made.clock))
    monkeypatch.setattr(pipeline, "perf_counter_ns", made.clock)
    monkeypatch.setattr(network, "time", SimpleNamespace(perf_counter=lambda: made.now_ns / 1e9))
    monkeypatch.setattr(energy, "time", SimpleNamespace(monotonic=lambda: made.now_ns / 1e9))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    # The pools of the tests' own process are as large as the machine.
    monkeypatch.setattr(thread_pools, "view", lambda: {"pools": [], "os_threads": 3})
    # By the made-up clock nothing takes processor time.
    monkeypatch.setattr(conditions, "threads", lambda *_: {"tasks": 3, "used": 2})
    readings(monkeypatch, made)
    offer(monkeypatch, made)
    before = cv2.getNumThreads()
    yield made
    cv2.setNumThreads(before)


@pytest.fixture
def a_busy_machine_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every cell for valid: an invalid one is not ranked, whatever this test is about."""
    monkeypatch.setattr(null_cost, "NULL_WINDOW_S", {"warmup_s": 0.01, "measured_s": 0.05})
    monkeypatch.setattr(validity, "cell_validity", lambda *_: validity.Validity())
