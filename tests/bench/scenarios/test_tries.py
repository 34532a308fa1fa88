"""A disturbed window is measured again; what counts is told by conditions alone."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from benching import one
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.protocol import Protocol
from bench.contract import RunnerSpec
from bench.doubts import KINDS
from bench.machine import conditions, disturbance
from bench.machine.disturbance import Disturbance
from bench.machine.gpu_conditions import GpuConditions
from bench.rounds.repeats import NEVER_QUIET, NO_ROOM, NO_TIME_LEFT, Repeats
from bench.run import results
from bench.run.results import Round
from bench.scenarios import tries
from bench.scenarios.base import Phases, RoundJob
from bench.scenarios.tries import Look, Tries
from bench.scenarios.watch import Watched
from bench.verdicts.disturbed_rounds import disturbed_rounds

SPEC = RunnerSpec(
    recipe={}, artifact="", mode="eager", precision="fp32", device="cpu", threads=2, batch=1,
    scenario="latency",
)  # fmt: skip


class Subject:
    """Notes in which window it is called, or in which wait (negative)."""

    def __init__(self) -> None:
        self.within, self.noted = 0, [0]

    def once(self, number: int) -> None:
        self.noted.append(self.within)

    def start(self) -> None:
        self.noted = []


def other(share: float) -> list[Disturbance]:
    """Return what is found where other work took so much of the processors' time."""
    return [Disturbance("other work", share / 0.05, f"other work took {share:.0%}")] if share > 0.05 else []


def tried(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], most: int = 3, **payload: Any
) -> tuple[Tries, list[dict[str, Any]]]:
    """Return the tries of a round whose windows of 1 s are disturbed by so much, and what was emitted."""
    met, told = iter(shares), []
    clock = itertools.count(step=10**9)

    def emit(name: str, fields: dict[str, Any]) -> None:
        told.extend([fields] if name == "waited" else [])

    watch = SimpleNamespace(end=lambda: Watched({"doubts": []}, None, [], other(next(met))))
    subject, windows = Subject(), itertools.count(1)

    def wait(action: Any, most_s: float, before: Any) -> tuple[list[Disturbance], float, bool]:
        subject.within = -abs(subject.within)
        action(0)
        return [], 2.0, True

    monkeypatch.setattr(tries, "Watch", lambda job: watch)
    monkeypatch.setattr(tries, "until_quiet", wait)
    monkeypatch.setattr("bench.scenarios.base.perf_counter_ns", lambda: next(clock))
    protocol = {"tries": most, "measured_s": 1.0, "measured_queries": 2, "timeout_s": 600}
    job = RoundJob(SPEC, protocol, {"repeat_s": 100.0, **payload}, Phases(emit))

    def loop(action: Any, seconds: float, queries: int) -> np.ndarray:
        subject.within = next(windows)
        for number in range(queries):
            action(number)
        # The more a window is disturbed, the faster it looks: which must not matter.
        return np.array([1000 - 10 * len(told)] * queries, np.int64)

    return tries.measured(job, subject, loop, None), told  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shares", "most", "made", "counts"),
    [
        ([0.0], 3, 1, 1),
        ([0.04], 3, 1, 1),
        ([0.3, 0.0], 3, 2, 2),
        ([0.3, 0.2, 0.01], 3, 3, 3),
        ([0.3, 0.1, 0.2], 3, 3, 2),
        ([0.1, 0.3, 0.2], 3, 3, 1),
        ([0.2, 0.2], 2, 2, 1),
        ([0.9], 1, 1, 1),
    ],
)
def test_the_first_undisturbed_try_counts_or_else_the_least_disturbed(
    monkeypatch: pytest.MonkeyPatch, shares: list[float], most: int, made: int, counts: int
) -> None:
    found, told = tried(monkeypatch, shares, most)
    assert (len(found.windows), found.place + 1) == (made, counts)
    assert [one["try"] for one in told] == list(range(2, made + 1))
    assert found.repeats_s == (made - 1) * 3.0
    # What the subject noted is of the window that counts, whatever came later: windows, and waits for them.
    assert found.counting.subject.noted == [counts] * 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("payload", "made", "lacked"),
    [
        ({"repeat_s": 0.0}, 1, NO_ROOM),
        ({"repeat_s": 1.4}, 1, NO_ROOM),
        ({"repeat_s": 3.0}, 2, NO_ROOM),
        ({"repeat_s": 5.0}, 3, None),
        ({"timeout_s": 5.0}, 2, NO_TIME_LEFT),
        ({"timeout_s": 2.0}, 1, NO_TIME_LEFT),
    ],
)
def test_no_repeat_begins_that_the_bench_or_the_time_limit_has_no_room_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, payload: dict[str, Any], made: int, lacked: str | None
) -> None:
    found, _ = tried(monkeypatch, [0.3] * 3, **payload)
    assert len(found.windows) == made
    said = {"phases_s": {}, "count": 2, "wall_s": 9.0, "started": "", **found.to_dict(tmp_path / "r.npz")}
    told = Repeats(Protocol.model_validate({"profile": "quick"}), 40).add(msgspec.convert(said, Round))
    assert told == ([lacked] if lacked else []), "what ran out is said, and nothing else"


def test_a_round_keeps_its_other_tries_with_their_conditions_and_their_durations(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, _ = tried(monkeypatch, [0.3, 0.1, 0.2])
    said = found.to_dict(tmp_path / "round_0001.npz")
    kept = msgspec.convert({"phases_s": {}, "count": 2, "wall_s": 9.0, "started": "", **said}, Round)
    assert (kept.tries, kept.try_number, kept.repeats_s) == (3, 2, 6.0)
    assert [one.text for one in kept.disturbances] == ["other work took 10%"]
    assert [(one.number, one.waited_s, one.count) for one in kept.other_tries] == [(1, 0.0, 2), (3, 2.0, 2)]
    assert all(one.disturbances and one.conditions for one in kept.other_tries)
    files = {path.name: results.load_samples(path)["window_ns"].tolist() for path in tmp_path.iterdir()}
    assert files == {"round_0001_try_1.npz": [1000] * 2, "round_0001_try_3.npz": [980] * 2}
    assert msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(kept))), Round) == kept


@given(st.lists(st.lists(st.floats(1.01, 1e3), max_size=3), min_size=1, max_size=5))
def test_what_counts_is_undisturbed_wherever_any_try_is(excesses: list[list[float]]) -> None:
    tries_ = [[Disturbance("steal", excess, "") for excess in found] for found in excesses]
    place = disturbance.counting(tries_)
    assert disturbance.worst(tries_[place]) == min(map(disturbance.worst, tries_))
    assert [] not in tries_ or place == tries_.index([])


def test_the_warm_up_goes_on_until_nobody_else_works_or_the_wait_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = SimpleNamespace(s=0.0)
    start = conditions.read()
    start = replace(start, cpus=(0, 1), monotonic_s=0.0, cpu_s=0.0, children_cpu_s=0.0, busy_s=0.0)
    start = replace(start, steal_s=0.0, throttle_events=None, quota_throttled_s=None)

    def waited(others_until_s: float, most_s: float, warmed_s: float = 0.0) -> tuple[int, float, bool, int]:
        """Return what a wait came to: this process uses both processors, somebody else half of one."""
        now.s, calls = 0.0, []

        def read(like: Any = None) -> conditions.Conditions:
            busy_s = 2 * now.s + 0.5 * min(now.s, others_until_s)
            return replace(start, monotonic_s=now.s, cpu_s=2 * now.s, busy_s=busy_s)

        def action(number: int) -> None:
            calls.append(number)
            now.s += 0.1

        monkeypatch.setattr(tries.conditions, "read", read)
        monkeypatch.setattr(tries, "time", SimpleNamespace(monotonic=lambda: now.s))
        before, now.s = Look(read()), warmed_s
        met, seconds, quiet = tries.until_quiet(action, most_s, before)
        return len(met), round(seconds, 6), quiet, len(calls)

    assert waited(0.0, 8.0, warmed_s=0.5) == (0, 0.0, True, 0), "a quiet warm-up is all that it takes"
    assert waited(0.0, 8.0)[2:] == (True, 5)
    met, seconds, quiet, calls = waited(1.75, 8.0)
    assert (met, quiet, calls) == (1, True, pytest.approx(10 * seconds))
    assert 1.75 <= seconds <= 3.0
    met, seconds, quiet, _ = waited(100.0, 3.0, warmed_s=3.0)
    assert (met, quiet) == (1, False)
    assert seconds <= 3.2


def test_a_wait_before_a_window_on_a_gpu_looks_at_the_gpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processors are quiet; somebody else computes on the GPU for 1.2 s."""
    now, quiet = SimpleNamespace(s=0.0), replace(conditions.read(), monotonic_s=0.0)

    def on_gpu() -> GpuConditions:
        return GpuConditions(sm_mhz=1980, slowed_by=[], processes=2 if now.s < 1.2 else 1)

    def action(number: int) -> None:
        now.s += 0.1

    monkeypatch.setattr(tries.conditions, "read", lambda like=None: replace(quiet, monotonic_s=now.s))
    monkeypatch.setattr(tries.gpu_conditions, "read", on_gpu)
    monkeypatch.setattr(tries, "time", SimpleNamespace(monotonic=lambda: now.s))
    found = {}
    for device in ("cpu", "cuda"):
        now.s = 0.0
        met, seconds, became = tries.until_quiet(action, 8.0, Look(quiet, device))
        found[device] = ([one.cause for one in met], became, seconds >= 1.2)
    assert found == {"cpu": ([], True, False), "cuda": (["gpu users"], True, True)}
    idle = Look(quiet, "cuda", GpuConditions(sm_mhz=345, slowed_by=[], processes=1))
    assert [one.cause for one in idle.disturbances(Look.now("cuda"))] == ["gpu clock"]
    assert Look(quiet, "cuda").disturbances(Look.now("cuda")) == [], "before a warm-up it is to rise"


def test_the_first_window_waits_for_quiet_too_and_says_what_it_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    protocol = {"tries": 3, "measured_s": 1.0, "measured_queries": 2, "timeout_s": 600}
    watch = SimpleNamespace(end=lambda: Watched({}, None, [], []))
    monkeypatch.setattr(tries, "Watch", lambda job: watch)
    found = {}
    for what, met, room_s in (("quiet", 0.0, 99.0), ("busy", 0.3, 99.0), ("no room", 0.3, 0.2)):
        emit = lambda name, fields: told.append(fields) if name == "waited" else None  # noqa: E731
        job = RoundJob(SPEC, protocol, {"repeat_s": room_s}, Phases(emit))
        waited_s = 2.0 if met else 0.0
        monkeypatch.setattr(
            tries, "until_quiet", lambda action, most_s, before, w=waited_s, m=met: (other(m), w, True)
        )
        made = tries.measured(job, Subject(), lambda *given: np.ones(2), Look(conditions.read()))  # type: ignore[arg-type]
        found[what] = (len(made.windows), made.repeats_s)
    assert found == {"quiet": (1, 0.0), "busy": (1, 2.0), "no room": (1, 0.0)}
    assert [(one["try"], one["why"]) for one in told] == [(1, ["other work took 30%"])]


def test_waits_and_repeats_never_take_longer_than_the_rounds() -> None:
    protocol = Protocol.model_validate({"profile": "quick"})
    repeats, first = Repeats(protocol, planned=40), []
    made = Round(phases_s={}, count=1, wall_s=4.0, started="")
    for _ in range(40):
        # A child that spends all that it is given, in vain.
        spent = min(18.0, repeats.room_s)
        found = {"wall_s": 4.0 + spent, "repeats_s": spent, "disturbances": other(0.5)}
        found |= {"lacked": tries.NO_BUDGET} if spent < 18.0 else {}
        first += repeats.add(msgspec.structs.replace(made, **found))
        assert repeats.repeats_s <= 40 * 4.0, "what the planned rounds take, by the mean of those so far"
    assert repeats.repeats_s <= repeats.rounds_s
    assert repeats.repeats_s > 0.8 * repeats.rounds_s
    assert sorted(first) == [NEVER_QUIET, NO_ROOM], "each is told once"


def test_where_it_is_never_quiet_waits_get_shorter_and_a_quiet_round_makes_them_long_again() -> None:
    repeats = Repeats(Protocol.model_validate({"profile": "quick"}), planned=40)
    made = Round(phases_s={}, count=1, wall_s=4.0, started="")
    stayed = msgspec.structs.replace(made, disturbances=other(0.5))
    waits = [repeats.quiet_s]
    for one_more in (stayed, stayed, stayed, made):
        repeats.add(one_more)
        waits.append(repeats.quiet_s)
    assert waits == [8.0, 4.0, 2.0, 1.0, 8.0]


def test_what_was_measured_again_is_counted_with_what_to_do() -> None:
    [cell] = one().cells
    made = Round(phases_s={}, count=1, wall_s=4.0, started="")
    again = results.Try(number=1, median_ms=1.0, count=1, measured_s=1.0, disturbances=other(0.5))
    mended = msgspec.structs.replace(made, try_number=2, other_tries=[again], repeats_s=4.5)
    stayed = msgspec.structs.replace(mended, disturbances=[*other(0.2), Disturbance("steal", 2.0, "")])
    row = results.CellResult(
        id=cell.id, status="ok", reason=None, axes=cell, hash="", artifact_sha256=None, split_sha256="",
        rounds=[made, mended, stayed], command="",
    )  # fmt: skip
    untimed = msgspec.structs.replace(row, axes=replace(cell, scenario="accuracy"))
    found = disturbed_rounds([row, untimed])
    assert (found.rounds, found.again, found.disturbed) == (3, 2, 1)
    assert found.text == "2 of 3 rounds measured again, repeats and waits for quiet took 9 s"
    assert all(KINDS[cause].cure in str(found.cure) for cause in ("other work", "steal"))
    assert disturbed_rounds([msgspec.structs.replace(row, rounds=[made])]).cure is None
