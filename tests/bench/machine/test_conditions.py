"""What a round ran under: read from described machines and this one, and judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine import conditions
from bench.machine.conditions import Conditions

QUIET = Conditions(
    monotonic_s=100.0, cpus=(0, 1), cpu_s=5.0, children_cpu_s=0.0, steal_s=1.0, busy_s=50.0,
    load_average=0.4, voluntary_switches=10, involuntary_switches=3, throttle_events=7,
    quota_throttled_s=0.5, clock_mhz=3000.0,
)  # fmt: skip


def after(**changed: Any) -> Conditions:
    """Return a reading ten seconds after QUIET, in which this process alone used 1.5 cores."""
    return replace(QUIET, **({"monotonic_s": 110.0, "cpu_s": 20.0, "busy_s": 65.2} | changed))


def test_a_quiet_round_leaves_no_doubt() -> None:
    assert conditions.doubts(QUIET, after()) == []
    assert conditions.cores_used(QUIET, after()) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"steal_s": 1.3}, "the hypervisor took 1.5% of the processors' time"),
        ({"busy_s": 70.0}, "other work took 25% of the processors' time"),
        ({"throttle_events": 9}, "the processors were throttled 2 times"),
        ({"quota_throttled_s": 0.9}, "the cgroup's quota held the round back for 0.4 s"),
        ({"clock_mhz": 2800.0}, "the clock moved from 3000 to 2800 MHz"),
    ],
)
def test_each_disturbance_is_named(changed: dict[str, Any], reason: str) -> None:
    assert [one.text for one in conditions.doubts(QUIET, after(**changed))] == [reason]


@pytest.mark.parametrize(
    ("changed", "cause"), [({"throttle_events": 9}, "throttled"), ({"quota_throttled_s": 0.9}, "quota")]
)
def test_heat_and_a_quota_disturb_only_beside_other_work_for_a_round_alone_can_cause_them(
    changed: dict[str, Any], cause: str
) -> None:
    def causes(seen: Conditions) -> list[str]:
        return [one.cause for one in conditions.disturbances(QUIET, seen)]

    assert causes(after(**changed)) == []
    assert causes(after(**changed, busy_s=None)) == [], "nor where nobody tells whether others worked"
    assert causes(after(**changed, busy_s=70.0)) == ["other work", cause]
    assert len(conditions.doubts(QUIET, after(**changed, busy_s=70.0))) == 2


def test_what_workers_computed_is_not_other_work() -> None:
    busy = after(busy_s=68.0, children_cpu_s=3.0)
    assert conditions.doubts(QUIET, busy) == []
    assert conditions.cores_used(QUIET, busy) == pytest.approx(1.8)


def test_the_load_average_decides_only_where_the_processors_tell_nothing() -> None:
    assert conditions.doubts(QUIET, after(load_average=9.0)) == []
    blind = after(busy_s=None, load_average=2.1)
    assert [one.text for one in conditions.doubts(QUIET, blind)] == [
        "the load average was 2.1, where the round used 1.5 cores"
    ]
    assert conditions.doubts(QUIET, replace(blind, load_average=1.9)) == []


UNKNOWN = ("steal_s", "busy_s", "load_average", "throttle_events", "quota_throttled_s", "clock_mhz")


@given(st.sets(st.sampled_from(UNKNOWN)), st.sets(st.sampled_from(UNKNOWN)))
def test_what_is_unknown_is_no_doubt(first: set[str], second: set[str]) -> None:
    before = replace(QUIET, **dict.fromkeys(first))
    assert conditions.doubts(before, replace(after(), **dict.fromkeys(second))) == []


def test_other_processors_cannot_be_compared() -> None:
    assert conditions.doubts(QUIET, after(cpus=(2, 3), steal_s=500.0, busy_s=9000.0)) == []


def test_a_described_machine_is_read(fake_system: Any) -> None:
    hertz = os.sysconf("SC_CLK_TCK")
    ticks = [[hertz * value for value in row] for row in ([1, 2, 3, 99, 98, 4, 5, 6, 7, 7], [10] * 10)]
    rows = [f"cpu{n} {' '.join(map(str, row))}" for n, row in enumerate([*ticks, [hertz] * 10])]
    fake_system.write("proc/stat", "cpu  1 1 1 1 1 1 1 1 1 1\n" + "\n".join(rows) + "\nintr 5 0\n")
    fake_system.write("proc/loadavg", "1.25 0.60 0.27 4/105 5307\n")
    for cpu, khz in ((0, 2_100_000), (1, 3_400_000), (2, 9_900_000)):
        folder = f"sys/devices/system/cpu/cpu{cpu}"
        fake_system.write(f"{folder}/cpufreq/scaling_cur_freq", f"{khz}\n")
        fake_system.write(f"{folder}/thermal_throttle/core_throttle_count", "3\n")
    fake_system.write("sys/fs/cgroup/cpu.max", "150000 100000\n")
    fake_system.write("sys/fs/cgroup/cpu.stat", "usage_usec 5\nnr_throttled 2\nthrottled_usec 2500000\n")
    found = conditions.read()
    assert (found.steal_s, found.busy_s) == (6 + 10, 1 + 2 + 3 + 4 + 5 + 50)
    assert (found.load_average, found.clock_mhz, found.throttle_events) == (1.25, 3400, 6)
    assert found.quota_throttled_s == 2.5


def test_what_a_machine_does_not_tell_is_none(fake_system: Any) -> None:
    found = conditions.read()
    nothing = (found.steal_s, found.busy_s, found.load_average, found.throttle_events, found.clock_mhz)
    assert nothing == (None,) * 5
    assert found.quota_throttled_s is None
    assert conditions.tasks() is None
    assert conditions.threads(None, conditions.tasks()) == {"tasks": None, "used": None}


def test_the_clock_of_x86_without_cpufreq_comes_from_cpuinfo(fake_system: Any) -> None:
    each = "processor\t: {}\nmodel name\t: X\ncpu MHz\t\t: {}\n\n"
    fake_system.write("proc/cpuinfo", each.format(0, 2400.5) + each.format(1, 2300) + each.format(2, 5000))
    assert conditions.read().clock_mhz == 2400.5


def test_a_reading_is_json_and_the_later_one_is_of_the_same_processors(monkeypatch: Any) -> None:
    first = conditions.read()
    monkeypatch.setattr(conditions.fingerprint, "affinity", lambda: {0})
    second = conditions.read(first)
    assert second.cpus == first.cpus
    assert json.loads(json.dumps(second.to_dict(), allow_nan=False)) == second.to_dict()
    assert second.monotonic_s > first.monotonic_s
    assert second.voluntary_switches >= first.voluntary_switches


def test_the_work_of_a_child_is_this_processes_own() -> None:
    before = conditions.read()
    spin = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    spent = conditions.read(before)
    assert spent.children_cpu_s - before.children_cpu_s >= 0.25
    assert spent.cpu_s - before.cpu_s < 0.25


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads are listed in /proc")
def test_threads_that_compute_are_told_from_threads_that_wait() -> None:
    stop, started, waiting = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        end = time.thread_time() + 0.4
        started.set()
        while time.thread_time() < end:
            sum(range(1000))
        stop.set()
        waiting.wait()

    idle = threading.Thread(target=waiting.wait)
    busy = threading.Thread(target=work)
    idle.start()
    before = conditions.tasks()
    assert before is not None
    busy.start()
    stop.wait(60)
    found = conditions.threads(before, conditions.tasks())
    waiting.set()
    for thread in (idle, busy):
        thread.join()
    assert found["tasks"] == len(before.cpu_s) + 1
    assert found["used"] == 1


def test_a_task_without_schedstat_is_read_in_ticks(fake_system: Any) -> None:
    hertz = os.sysconf("SC_CLK_TCK")
    fields = " ".join(map(str, [0] * 10))
    fake_system.write("proc/self/task/42/stat", f"42 (a (b) c) S {fields} {3 * hertz} {hertz} 0 0\n")
    found = conditions.tasks()
    assert found is not None
    assert found.cpu_s == {42: 4.0}
