"""A10: threads are read back from what the process did, not from the number that was set."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bench.machine import conditions
from bench.scenarios import watch
from bench.scenarios.round import with_threads
from bench.scenarios.watch import Watch

ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are listed in /proc")


def lane_of(threads: int, scenario: str = "latency") -> Any:
    spec = SimpleNamespace(threads=threads, device="cpu", scenario=scenario)
    return SimpleNamespace(spec=spec, payload={})


def compute(seconds: float) -> None:
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        hashlib.sha256(bytes(2**20)).digest()


def doubts(
    threads: int, cores: float, computed: int | None, *, shared: bool = False, scenario: str = "latency"
) -> list[str]:
    """Return the doubts about the threads of a window in which so many cores were busy."""
    found = Watch(lane_of(threads, scenario))._doubts_of_threads(cores, computed, shared=shared)
    return [one.text for one in found]


@ON_LINUX
def test_a_pool_of_four_of_which_two_compute_has_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "cores_used", lambda before, after: 2.0)
    idle = threading.Event()
    waiting = [threading.Thread(target=idle.wait) for _ in range(2)]
    ended = threading.Barrier(3)

    def kept() -> None:
        compute(0.4)
        ended.wait()
        idle.wait()

    busy = [threading.Thread(target=kept) for _ in range(2)]
    watched = Watch(lane_of(4))
    for thread in (*waiting, *busy):
        thread.start()
    ended.wait()
    seen = watched.end().conditions
    idle.set()
    for thread in (*waiting, *busy):
        thread.join()
    assert seen["threads"]["used"] == 2
    assert "2 of the lane's 4 threads computed" in seen["doubts"]
    read_back = with_threads({"precision": "fp32", "threads": 4}, seen)
    assert read_back == {"precision": "fp32", "threads_set": 4, "threads_computed": 2}


@pytest.mark.parametrize(
    ("threads", "cores", "computed", "said"),
    [
        (8, 4.0, 4, ["4 of the lane's 8 threads computed"]),
        (8, 4.0, 8, ["4.00 cores were busy in a lane of 8 threads"]),
        (8, 4.0, None, ["4.00 cores were busy in a lane of 8 threads"]),
        (8, 2.0, 2, ["2 of the lane's 8 threads computed"]),
        (8, 6.5, 8, []),
        (8, 7.9, 9, []),
        (2, 1.0, 1, ["1 of the lane's 2 threads computed"]),
        (2, 1.0, 2, ["1.00 cores were busy in a lane of 2 threads"]),
        (2, 1.7, 2, []),
        (1, 1.0, 1, []),
        (8, 0.1, 0, []),
    ],
)
def test_a_lane_whose_threads_are_half_idle_is_doubted(
    threads: int, cores: float, computed: int | None, said: list[str]
) -> None:
    assert doubts(threads, cores, computed) == said


def test_few_busy_cores_are_no_doubt_about_threads_where_others_had_the_processors() -> None:
    assert doubts(8, 4.0, 8, shared=True) == []
    assert doubts(8, 4.0, 5, shared=True) == ["5 of the lane's 8 threads computed"]


def test_a_training_step_is_doubted_as_the_network_alone_is() -> None:
    assert doubts(8, 4.0, 8, scenario="train") == ["4.00 cores were busy in a lane of 8 threads"]
    assert doubts(8, 7.0, 4, scenario="train") == ["4 of the lane's 8 threads computed"]
    assert doubts(8, 7.0, 8, scenario="train") == []


def test_a_pipeline_may_leave_cores_idle_but_no_thread() -> None:
    assert doubts(8, 1.5, 8, scenario="pipeline") == []
    assert doubts(8, 4.0, 4, scenario="pipeline") == ["4 of the lane's 8 threads computed"]


def test_a_loader_has_processes_for_threads_and_is_not_doubted() -> None:
    assert doubts(8, 1.0, 1, scenario="data") == []


def test_what_was_not_timed_has_no_number_of_threads_that_computed() -> None:
    assert with_threads({"threads": 2}, {}) == {"threads_set": 2}
    assert with_threads({"threads": 2}, {"threads": {"used": None}})["threads_computed"] is None
    assert [one.text for one in watch.missing_threads(2, 1, 2)] == [
        "the runtime says 1 threads, where the lane has 2"
    ]
