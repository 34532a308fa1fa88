"""What a process does to itself is no disturbance; what another one does is."""

from __future__ import annotations

import itertools
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from benching import TESTS, bench, one

from bench.machine import conditions, fingerprint
from bench.rounds.repeats import Repeats
from bench.run import results

DISTURBER = Path(TESTS) / "disturber.py"


# What a process does to itself, and what another one does


@contextmanager
def a_machine_where_only_these_work(
    monkeypatch: pytest.MonkeyPatch, *others: int, step: int = 0
) -> Iterator[None]:
    """Describe two processors that work for this process and for others (process IDs) alone, as psutil tells.

    step: of the seconds that a quota has held it back, and of the times that heat slowed it, at each reading.
    """
    held = itertools.count(step=step)

    def times(cpus: Any) -> tuple[float, float]:
        used = [psutil.Process(pid).cpu_times() for pid in (os.getpid(), *others)]
        return 0.0, sum(one.user + one.system for one in used)

    known = {name: getattr(fingerprint, name) for name in ("descendants", "cpuinfo_mhz")}
    with monkeypatch.context() as patch:
        # Of conditions alone: where this process runs stays as it is.
        patch.setattr(conditions, "fingerprint", SimpleNamespace(affinity=lambda: {0, 1}, **known))
        patch.setattr(conditions, "_processor_times", times)
        patch.setattr(conditions, "_throttle_events", lambda cpus: next(held))
        patch.setattr(conditions.cgroup, "throttled_s", lambda: next(held))
        yield


@contextmanager
def a_child_that_never_rests() -> Iterator[int]:
    """Run the disturber, which works until this ends; give its process ID.

    It is a descendant of this process, in which rounds are measured here: a test says where it is another's.
    """
    command = [sys.executable, str(DISTURBER), "--mean-s", "1e9", "--seconds", "300"]
    process = subprocess.Popen(command)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("in_process")
def test_threads_of_its_own_are_no_disturbance_however_many_they_are(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_machine_where_only_these_work(monkeypatch):
        [cell] = bench(run_folder, one(protocol={"tries": 3, "measured_s": 0.5}), "Oversubscribed")
    [made] = cell.rounds
    assert (made.tries, made.disturbances) == (1, [])
    assert made.conditions["cores_used"] > 0, "the threads did compute, as far as a busy machine let them"


@pytest.mark.usefixtures("in_process")
def test_what_its_descendants_compute_is_no_disturbance(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_child_that_never_rests() as pid, a_machine_where_only_these_work(monkeypatch, pid):
        [cell] = bench(run_folder, one(protocol={"tries": 3, "measured_s": 1.0}))
        spent = psutil.Process(pid).cpu_times()
    [made] = cell.rounds
    assert (made.tries, made.disturbances) == (1, [])
    assert spent.user + spent.system > 0, "it did compute"


@pytest.mark.usefixtures("in_process")
def test_a_quota_or_heat_that_a_round_brings_about_itself_flags_it_and_is_no_disturbance(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_machine_where_only_these_work(monkeypatch, step=1):
        [cell] = bench(run_folder, one(protocol={"tries": 3, "measured_s": 0.2}), "Oversubscribed")
    [made] = cell.rounds
    assert (made.tries, made.disturbances) == (1, [])
    assert made.validity.verdict != "VALID"
    said = "; ".join(made.validity.reasons)
    assert "the processors were throttled" in said
    assert "the cgroup's quota held the round back" in said


@pytest.mark.usefixtures("in_process")
def test_another_process_disturbs_and_the_round_is_measured_again(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same child, not counted as the round's own; of a busy machine it may get little."""
    monkeypatch.setattr(conditions, "_children_cpu_s", lambda: 0.0)
    monkeypatch.setattr(conditions, "OTHER_SHARE", 0.01)
    monkeypatch.setattr(Repeats, "quiet_s", 0.5)
    monkeypatch.setattr(Repeats, "room_s", 60.0)
    heard: list[dict[str, Any]] = []

    def hear(name: str, fields: dict[str, Any]) -> None:
        heard.extend([fields] if name == "waited" else [])

    with a_child_that_never_rests() as pid, a_machine_where_only_these_work(monkeypatch, pid):
        chosen = one(protocol={"tries": 3, "measured_s": 0.3})
        [cell] = bench(run_folder, chosen, on_event=hear)
    [made] = cell.rounds
    assert made.tries == 3
    assert [one.cause for one in made.disturbances] == ["other work"]
    assert made.disturbances[0].text in made.validity.reasons
    assert made.validity.verdict != "VALID"
    assert [fields["try"] for fields in heard] == [1, 2, 3], "each try waits for quiet first"
    assert {fields["quiet"] for fields in heard} == {False}
    assert all(fields["id"] == cell.id and "other work took" in fields["why"][0] for fields in heard)
    counted = min([made.disturbances[0].excess, *(one.disturbances[0].excess for one in made.other_tries)])
    assert made.disturbances[0].excess == counted
    assert len(results.samples(run_folder, cell)["latency_ns"]) == made.count, "the others are not pooled"
    kept = sorted(path.name for path in (results.folder(run_folder) / cell.id).glob("*_try_*.npz"))
    assert kept == [f"round_0001_try_{one.number}.npz" for one in made.other_tries]


def test_a_neighbour_works_half_of_the_time_as_its_seed_says() -> None:
    spells = runpy.run_path(str(DISTURBER))["spells"]
    drawn = list(itertools.islice(spells(7, 2.0), 4000))
    assert drawn == list(itertools.islice(spells(7, 2.0), 4000))
    work, rest = np.array(drawn).T
    assert work.sum() / (work.sum() + rest.sum()) == pytest.approx(0.5, abs=0.02)
    assert work.mean() == pytest.approx(2.0, rel=0.1)
