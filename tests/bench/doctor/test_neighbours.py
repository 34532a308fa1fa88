"""The probe of noise: what blocks show, and a short look at this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.doctor import checks, neighbours
from bench.machine import fingerprint
from bench.process import launch


def test_a_summary_counts_the_slow_blocks() -> None:
    found = neighbours.summary(3, [1_000_000] * 90 + [1_050_000] * 5 + [3_000_000] * 5)
    assert (found.cpu, found.blocks, found.best_ms, found.median_ms) == (3, 100, 1.0, 1.0)
    assert (found.slow_share, found.worst_slowdown, found.spread) == (0.05, 3.0, 0.0)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.integers(2, 1000))
def test_a_summary_knows_no_unit_but_the_milliseconds(blocks: list[int], factor: int) -> None:
    once, scaled = neighbours.summary(0, blocks), neighbours.summary(0, [factor * block for block in blocks])
    assert scaled.best_ms == pytest.approx(once.best_ms * factor)
    assert scaled.worst_slowdown == pytest.approx(once.worst_slowdown)
    assert scaled.spread == pytest.approx(once.spread)
    assert 0 <= once.slow_share < 1
    assert once.worst_slowdown >= 1


QUIET = neighbours.Noise(1.0, [neighbours.summary(0, [1000] * 100)], steal_share=0.0)


def test_neighbours_are_found_by_slow_blocks_or_by_steal() -> None:
    assert checks.neighbours(QUIET) == []
    assert checks.neighbours(replace(QUIET, steal_share=None)) == []
    slow = replace(QUIET, cores=[*QUIET.cores, neighbours.summary(1, [1000] * 90 + [2000] * 10)])
    assert "10% of a core's blocks" in checks.neighbours(slow)[0].what
    stolen = replace(QUIET, steal_share=0.03)
    assert "steal 3.0%" in checks.neighbours(stolen)[0].what
    assert slow.to_dict()["noisy"] is True


def test_every_core_is_probed_at_once() -> None:
    cpus = neighbours.probed_cpus()
    assert len(cpus) == fingerprint.usable_cores()
    found = neighbours.probe(0.3)
    assert [core.cpu for core in found.cores] == cpus
    assert all(core.blocks >= 1 and core.best_ms > 0 for core in found.cores)


def test_one_processor_of_each_core_is_probed_within_the_quota(
    fake_system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "affinity", lambda: {0, 1, 2, 3})
    for cpu in range(4):
        path = f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        fake_system.write(path, f"{cpu % 2},{cpu % 2 + 2}\n")
    assert neighbours.probed_cpus() == [0, 1]
    fake_system.write("sys/fs/cgroup/cpu.max", "150000 100000\n")
    assert neighbours.probed_cpus() == [0]


def test_a_probe_on_a_processor_that_is_not_there_fails_with_the_reason() -> None:
    with pytest.raises(launch.ChildFailed, match="Invalid argument"):
        neighbours.probe(0.1, [10_000])


def test_a_block_is_the_same_work_each_time() -> None:
    a = np.eye(neighbours.SIDE, dtype=np.float32)
    out = np.zeros_like(a)
    assert neighbours._block(a, out, 2) > 0
    assert np.array_equal(out, a)
