"""Inside the child: a window waits until others leave its device alone, and is measured again if not.

Whether it was disturbed is told by its conditions alone; nobody has looked at its durations then.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.machine import conditions, disturbance, gpu_conditions
from bench.machine.conditions import Conditions
from bench.machine.disturbance import Disturbance
from bench.machine.gpu_conditions import GpuConditions
from bench.scenarios.base import RoundJob, Workload
from bench.scenarios.watch import Watch, Watched
from bench.statistics import samples
from pose.files import write_arrays

LOOK_S = 0.5
"""Of a look at the processors: long enough that their clock's ticks of 10 ms are told from other work."""
QUIET_MOST_S = 8.0
"""The longest wait for quiet before a window."""
TIMEOUT_SHARE = 0.5
"""Of a round's time limit: a try that began later could cost the round."""

NO_BUDGET, NO_TIME = "budget", "time limit"
"""What may leave no room for another try: what the bench spends on repeats, or the round's time limit."""

Loop = Callable[[Callable[[int], None], float, int], np.ndarray]
"""`bench.scenarios.round.repeat`: calls an action for so many seconds and queries, returns durations."""


@dataclass(frozen=True)
class Look:
    """What tells whether others work on a device and its processors, at one moment."""

    processors: Conditions
    device: str = "cpu"
    gpu: GpuConditions | None = None
    """None without a GPU, where NVML does not tell, and of an idle GPU, whose clock is to rise."""

    @staticmethod
    def now(device: str, like: Conditions | None = None) -> Look:
        """Return the reading now; with `like`, of the same processors as an earlier one."""
        return Look(conditions.read(like), device, gpu_conditions.read() if device == "cuda" else None)

    def disturbances(self, after: Look) -> list[Disturbance]:
        """Return what others did between this reading and a later one."""
        on_gpu = gpu_conditions.disturbances(self.gpu or after.gpu, after.gpu)
        return conditions.disturbances(self.processors, after.processors) + on_gpu


@dataclass(frozen=True)
class Window:
    """One try of a round: what was timed, and what it ran under."""

    subject: Workload
    """As it was at the end of the window: what it noted of its queries is this window's."""
    durations_ns: np.ndarray
    seen: Watched
    measured_s: float
    waited_s: float = 0.0
    """For quiet, before it."""

    @property
    def disturbances(self) -> list[Disturbance]:
        """Return what others did to it."""
        return self.seen.disturbances

    def to_dict(self, number: int) -> dict[str, Any]:
        """Return the fields of a `bench.run.results.Try`, of the number-th try of a round."""
        return {
            "number": number,
            "median_ms": samples.percentile(self.durations_ns, 50) / 1e6,
            "count": len(self.durations_ns),
            "waited_s": self.waited_s,
            "measured_s": self.measured_s,
            "disturbances": msgspec.to_builtins(self.disturbances),
            "conditions": self.seen.conditions,
        }


@dataclass(frozen=True)
class Tries:
    """The windows of a round, and which of them counts."""

    windows: list[Window]
    lacked: str | None = None
    """What left no room for another one: NO_BUDGET or NO_TIME; None where none was to follow."""

    @property
    def place(self) -> int:
        """Return the place of the window that counts, among all."""
        return disturbance.counting([one.disturbances for one in self.windows])

    @property
    def counting(self) -> Window:
        """Return the window that counts."""
        return self.windows[self.place]

    @property
    def repeats_s(self) -> float:
        """Return the seconds that waits for quiet took, and the windows after the first."""
        return sum(one.waited_s for one in self.windows) + sum(one.measured_s for one in self.windows[1:])

    def to_dict(self, raw: Path) -> dict[str, Any]:
        """Return a `bench.run.results.Round`'s fields about its tries; write the others' durations beside."""
        others = {number: one for number, one in enumerate(self.windows, 1) if number != self.place + 1}
        for number, one in others.items():
            write_arrays(raw.with_name(f"{raw.stem}_try_{number}.npz"), {"window_ns": one.durations_ns})
        return {
            "try_number": self.place + 1,
            "waited_s": self.counting.waited_s,
            "disturbances": msgspec.to_builtins(self.counting.disturbances),
            "other_tries": [one.to_dict(number) for number, one in others.items()],
            "repeats_s": self.repeats_s,
            "lacked": self.lacked,
        }


def measured(job: RoundJob, subject: Workload, loop: Loop, warming: Look | None) -> Tries:
    """Measure a window, and again while it was disturbed: `tries` of the protocol at most.

    The warm-up goes on before each until processors and GPU are quiet; warming: what they were like when
    it began, None for no such wait before the first. What would exceed what the bench may spend on it
    ("repeat_s" of the payload), or half of the round's time limit, is not begun. Emits "waited" (try, why,
    waited_s, quiet) before each window that was waited for or is a repeat.
    """
    found, lacked, tries = Tries([]), None, job.protocol.get("tries", 1)
    quiet_s = float(job.payload.get("quiet_s", QUIET_MOST_S))
    while len(found.windows) < tries and (not found.windows or found.windows[-1].disturbances):
        last = found.windows[-1] if found.windows else None
        room_s, narrowest = _room_s(job, found.repeats_s)
        room_s -= last.measured_s if last else 0.0
        why, waited_s, quiet = last.disturbances if last else [], 0.0, True
        if room_s >= LOOK_S and (before := Look.now(job.spec.device) if last else warming):
            met, waited_s, quiet = until_quiet(subject.once, min(quiet_s, room_s), before)
            why = why or met
        elif last:
            lacked = narrowest
            break
        if why:
            said = {"why": [one.text for one in why], "waited_s": waited_s, "quiet": quiet}
            job.phases.emit("waited", {"try": len(found.windows) + 1, **said})
        found.windows.append(_window(job, subject, loop, waited_s))
    job.phases.seconds["measured"] = found.counting.measured_s
    return replace(found, lacked=lacked)


def warming(job: RoundJob) -> Look | None:
    """Return what the processors are like as a warm-up begins; None where no window is tried twice."""
    return Look(conditions.read(), job.spec.device) if job.protocol.get("tries", 1) > 1 else None


def until_quiet(
    action: Callable[[int], None], most_s: float, before: Look
) -> tuple[list[Disturbance], float, bool]:
    """Call action(0), action(1) ... until nobody else works beside it.

    Looks at what the processors and the GPU did since `before`, and then for half a second at a time; gives
    up after `most_s` seconds. Returns what it met at the first look, how long it waited (0 where that was
    quiet), and whether it is quiet now.
    """
    began_s, number = time.monotonic(), 0
    met: list[Disturbance] | None = None
    while True:
        if time.monotonic() - before.processors.monotonic_s >= LOOK_S:
            after = Look.now(before.device, before.processors)
            now, waited_s = before.disturbances(after), after.processors.monotonic_s - began_s
            met = now if met is None else met
            if not now or waited_s + LOOK_S > most_s:
                return met, waited_s if number else 0.0, not now
            before = after
        action(number)
        number += 1


def _window(job: RoundJob, subject: Workload, loop: Loop, waited_s: float = 0.0) -> Window:
    subject.start()
    watched = Watch(job)
    with job.phases("measured"):
        durations_ns = loop(subject.once, job.protocol["measured_s"], job.protocol["measured_queries"])
    seen = watched.end()
    # Neither a later window nor the wait before it may add to what this one noted; the runner is shared.
    kept, measured_s = copy.copy(subject), job.phases.seconds["measured"] or 0.0
    subject.start()
    return Window(kept, durations_ns, seen, measured_s, waited_s)


def _room_s(job: RoundJob, repeats_s: float) -> tuple[float, str]:
    """Return how many seconds more this round may spend on repeats, and what leaves no more than that."""
    told = float(job.payload.get("repeat_s", 0.0))
    elapsed_s = sum(filter(None, job.phases.seconds.values()))
    limit_s = TIMEOUT_SHARE * float(job.payload.get("timeout_s") or job.protocol.get("timeout_s", 0.0))
    room_s, narrowest = min((told, NO_BUDGET), (limit_s - elapsed_s, NO_TIME))
    return room_s - repeats_s, narrowest
