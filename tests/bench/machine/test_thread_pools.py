"""What threadpoolctl sees of this process, told without paths."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import threadpoolctl

from bench.machine import thread_pools


def test_numpys_pool_is_seen_with_the_threads_it_has():
    assert any(pool["api"] == "blas" for pool in thread_pools.view()["pools"])
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert {pool["threads"] for pool in thread_pools.view()["pools"] if pool["api"] == "blas"} == {1}


def test_a_library_is_told_by_its_name_alone(monkeypatch: pytest.MonkeyPatch):
    found = {
        "filepath": "/somewhere/lib/libgomp.so.1",
        "user_api": "openmp",
        "num_threads": 2,
        "version": None,
    }
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [{**found, "prefix": "libgomp"}])
    facts = {"library": "libgomp.so.1", "api": "openmp", "threads": 2, "version": None, "layer": None}
    assert thread_pools.view()["pools"] == [facts]


def test_every_thread_that_the_kernel_schedules_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    if not thread_pools.TASKS.exists():
        pytest.skip("no /proc here")
    done = threading.Event()
    before = thread_pools.view()["os_threads"]
    waiting = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    after = thread_pools.view()["os_threads"]
    done.set()
    for thread in waiting:
        thread.join()
    assert after - before == 3
    monkeypatch.setattr(thread_pools, "TASKS", tmp_path / "absent")
    assert thread_pools.view()["os_threads"] is None
