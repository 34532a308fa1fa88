"""What a round ran under: read before and after it, and what of that puts its figures in doubt.

Whatever this system does not tell is None, never 0. Linux tells it all but for what a virtual
machine hides (clock, throttling).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from bench.doubts import Doubt, doubt
from bench.machine import cgroup, fingerprint, procfs
from bench.machine.disturbance import Disturbance

STEAL_SHARE = 0.01
"""Of the processors' time: a hypervisor that takes more moves a median by about as much."""
OTHER_SHARE = 0.05
"""Of the processors' time, used by processes that are not this one's. Measured from /proc/stat, because
the load average still holds the round before, for a minute."""
OTHER_LOAD = 0.5
"""Of the load average beyond this process's own cores, where /proc/stat is not there to tell."""
CLOCK_SHARE = 0.05
"""By which the clock may differ: about what turbo leaves open, and half of what IQR/median flags at."""
USED_SHARE = 0.05
"""Of the interval that a thread must compute to count as used."""


@dataclass(frozen=True)
class Conditions:
    """One reading. Times are cumulative, so only differences of two readings of one process mean anything."""

    monotonic_s: float
    cpus: tuple[int, ...]
    """The logical processors that steal_s, busy_s and clock_mhz are of."""
    cpu_s: float
    """User and system time of this process, all threads."""
    children_cpu_s: float
    """The same of its descendants, those that have ended and were waited for included."""
    steal_s: float | None
    """Time that a hypervisor gave to others while `cpus` had work."""
    busy_s: float | None
    """Time that `cpus` worked, for whomever."""
    load_average: float | None
    """Processes that ran or waited, over the last minute."""
    voluntary_switches: int
    """Of all threads of this process, as involuntary_switches too: times that it waited for something.

    Recorded, and no doubt: a pool that spins by sched_yield is switched thousands of times a second.
    """
    involuntary_switches: int
    throttle_events: int | None
    """Times that heat or power slowed `cpus` since the system started."""
    quota_throttled_s: float | None
    """Time that the processor quotas of all cgroups around this process held their tasks back."""
    clock_mhz: float | None
    """The fastest of `cpus`: idle ones clock down."""

    def to_dict(self) -> dict[str, Any]:
        """Return the reading as JSON-able values."""
        return asdict(self) | {"cpus": list(self.cpus)}


def read(like: Conditions | None = None) -> Conditions:
    """Return the conditions now; with `like`, of the same processors as an earlier reading.

    Takes a few milliseconds. Read while the processors are still warm, or their clock is the idle one.
    """
    cpus = like.cpus if like else tuple(sorted(fingerprint.affinity()))
    used = resource.getrusage(resource.RUSAGE_SELF)
    steal_s, busy_s = _processor_times(cpus)
    return Conditions(
        monotonic_s=time.monotonic(),
        cpus=cpus,
        cpu_s=time.process_time(),
        children_cpu_s=_children_cpu_s(),
        steal_s=steal_s,
        busy_s=busy_s,
        load_average=load_average(),
        voluntary_switches=used.ru_nvcsw,
        involuntary_switches=used.ru_nivcsw,
        throttle_events=_throttle_events(cpus),
        quota_throttled_s=cgroup.throttled_s(),
        clock_mhz=_clock_mhz(cpus),
    )


def _processor_times(cpus: Iterable[int]) -> tuple[float | None, float | None]:
    """Return steal and busy seconds of the processors (proc(5), /proc/stat), or None for both."""
    rows = [line.split() for line in procfs.read("proc/stat").splitlines() if line.startswith("cpu")]
    ticks = {row[0]: [procfs.whole(value) for value in row[1:9]] for row in rows if len(row) >= 9}
    told = [ticks[f"cpu{cpu}"] for cpu in cpus if f"cpu{cpu}" in ticks]
    found = [[value for value in row if value is not None] for row in told]
    if not found or any(len(row) < 8 for row in found):
        return None, None
    hertz = os.sysconf("SC_CLK_TCK")
    # user nice system idle iowait irq softirq steal
    busy = sum(user + nice + system + irq + soft for user, nice, system, _, _, irq, soft, _ in found)
    return sum(row[7] for row in found) / hertz, busy / hertz


def _children_cpu_s() -> float:
    """Return the processor time of all descendants: loader workers compute for this process."""
    ended = os.times()
    total = ended.children_user + ended.children_system
    for child in fingerprint.descendants():
        with suppress(psutil.Error):
            used = child.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
    return total


def load_average() -> float | None:
    """Return how many processes ran or waited over the last minute, or None where it is not told."""
    return procfs.number(procfs.read("proc/loadavg").partition(" ")[0])


def _throttle_events(cpus: Iterable[int]) -> int | None:
    folder = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    texts = [procfs.read(folder.format(cpu, kind)) for cpu in cpus for kind in ("core", "package")]
    counts = [count for text in texts if (count := procfs.whole(text)) is not None]
    return sum(counts) if counts else None


def _clock_mhz(cpus: Iterable[int]) -> float | None:
    """Return the clock of the fastest processor: cpufreq's, or what /proc/cpuinfo says (x86)."""
    texts = [procfs.read(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq") for cpu in cpus]
    clocks = [khz / 1000 for text in texts if (khz := procfs.whole(text))]
    return max(clocks or fingerprint.cpuinfo_mhz(set(cpus)), default=None)


def cores_used(before: Conditions, after: Conditions) -> float:
    """Return how many cores this process and its descendants kept busy between two readings, on average."""
    return _own_cpu_s(before, after) / _seconds(before, after)


def _own_cpu_s(before: Conditions, after: Conditions) -> float:
    # A child that ended and that nobody waited for takes its time along.
    children = max(0.0, after.children_cpu_s - before.children_cpu_s)
    return after.cpu_s - before.cpu_s + children


def _seconds(before: Conditions, after: Conditions) -> float:
    return max(after.monotonic_s - before.monotonic_s, 1e-9)


def _grown(before: Conditions, after: Conditions, name: str) -> Any:
    """Return by how much a count grew between two readings; None where either does not tell it."""
    first, last = getattr(before, name), getattr(after, name)
    return None if first is None or last is None else last - first


def _share(before: Conditions, after: Conditions, spent_s: float) -> float:
    """Return what part of the processors' time between two readings `spent_s` is."""
    return spent_s / (_seconds(before, after) * len(before.cpus))


def steal_share(before: Conditions, after: Conditions) -> float | None:
    """Return what part of the processors' time a hypervisor gave to others, or None if unknown."""
    steal_s = _grown(before, after, "steal_s")
    return None if steal_s is None or before.cpus != after.cpus else _share(before, after, steal_s)


def other_share(before: Conditions, after: Conditions) -> float | None:
    """Return what part of the processors' time others took, or None if unknown."""
    busy_s = _grown(before, after, "busy_s")
    if busy_s is None or before.cpus != after.cpus:
        return None
    return _share(before, after, busy_s - _own_cpu_s(before, after))


def disturbances(before: Conditions, after: Conditions) -> list[Disturbance]:
    """Return what others did to the measurement between two readings; [] where nothing known did anything.

    Judged from these readings alone. What this process and its descendants computed is their own, however
    many threads it was: only what the processors did beyond it is other work. Its own load can also heat the
    processors or use up a quota: what `held_back` finds is others' doing only beside other work.
    """
    found = []
    stolen = steal_share(before, after)
    if stolen is not None and stolen > STEAL_SHARE:
        found.append(Disturbance.of(stolen / STEAL_SHARE, doubt("steal", stolen)))
    other = other_share(before, after)
    if other is not None and other > OTHER_SHARE:
        found.append(Disturbance.of(other / OTHER_SHARE, doubt("other work", other)))
        found += held_back(before, after)
    return found


def held_back(before: Conditions, after: Conditions) -> list[Disturbance]:
    """Return what slowed the processors or stopped them between two readings, whoever's load it was."""
    found = []
    if (events := _grown(before, after, "throttle_events") or 0) > 0:
        found.append(Disturbance.of(1 + events, doubt("throttled", events)))
    if (held_s := _grown(before, after, "quota_throttled_s") or 0.0) > 0:
        share = held_s / _seconds(before, after)
        found.append(Disturbance.of(1 + share / OTHER_SHARE, doubt("quota", held_s)))
    return found


def doubts(before: Conditions, after: Conditions) -> list[Doubt]:
    """Return why the figures measured between two readings are in doubt; [] where nothing known is.

    The disturbances, and what may be the measurement's own doing: heat, a quota that is used up, a clock that
    moved, as by wide vectors, or a load average, which holds the round before too.
    """
    told = [*disturbances(before, after), *held_back(before, after)]
    found = list(dict.fromkeys(one.doubt for one in told))
    load, own = after.load_average, cores_used(before, after)
    if other_share(before, after) is None and load is not None and load - own > OTHER_LOAD:
        found.append(doubt("load", load, own))
    first, last = before.clock_mhz, after.clock_mhz
    if first and last and abs(last / first - 1) > CLOCK_SHARE:
        found.append(doubt("clock", first, last))
    return found


@dataclass(frozen=True)
class Tasks:
    """Processor time of each thread of this process at one moment."""

    monotonic_s: float
    cpu_s: dict[int, float]
    """By thread id."""


def tasks() -> Tasks | None:
    """Return this process's threads and what each has computed; None where there is no /proc/self/task.

    The kernel lists every thread, whatever made it: OpenVINO's and Eigen's pools too.
    """
    folder = procfs.SYSTEM / "proc/self/task"
    now_s = time.monotonic()
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    spent = {int(name): _task_cpu_s(name) for name in names if procfs.whole(name) is not None}
    known = {task: cpu_s for task, cpu_s in spent.items() if cpu_s is not None}
    return Tasks(now_s, known) if known else None


def _task_cpu_s(task: str) -> float | None:
    fine = procfs.read(f"proc/self/task/{task}/schedstat").split()
    if fine and (spent_ns := procfs.whole(fine[0])) is not None:
        return spent_ns / 1e9
    # The name in parentheses may hold spaces; fields 14 and 15 are user and system ticks (proc(5)).
    fields = procfs.read(f"proc/self/task/{task}/stat").rpartition(")")[2].split()
    ticks = [count for field in fields[11:13] if (count := procfs.whole(field)) is not None]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if len(ticks) == 2 else None


def threads(before: Tasks | None, after: Tasks | None) -> dict[str, int | None]:
    """Return {"tasks": how many threads this process has, "used": how many of them computed}; None unknown.

    A thread was used when it computed more than 5 % of the time between two answers of `tasks`. A thread
    that ended in between is not counted.
    """
    if before is None or after is None:
        return {"tasks": None, "used": None}
    least_s = USED_SHARE * (after.monotonic_s - before.monotonic_s)
    used = sum(cpu_s - before.cpu_s.get(task, 0.0) > least_s for task, cpu_s in after.cpu_s.items())
    return {"tasks": len(after.cpu_s), "used": used}
