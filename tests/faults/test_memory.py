"""A6: memory of several processes counts a shared page once, for the figure and for the limit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import run_folders

from bench.process import memory
from bench.process.memory import MemoryWatch
from reports.words import cells

SHARED = 200 * 2**20

FAMILY = f"""
import os, sys, time
held = bytearray(b"x") * {SHARED}
for _ in range(2):
    if os.fork() == 0:
        time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def family() -> Iterator[int]:
    """Give the process ID of one that holds 200 MiB, which its two children share."""
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    try:
        yield process.pid
    finally:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=True)
        process.communicate()


ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="smaps_rollup is Linux's")


@ON_LINUX
def test_pages_that_processes_share_count_once(family: int) -> None:
    watched = MemoryWatch(family)
    watched.look(float("inf"))
    assert watched.several
    assert watched.rss_bytes > 3 * SHARED
    assert watched.pss_bytes
    assert SHARED < watched.pss_bytes < 1.5 * SHARED


@ON_LINUX
def test_the_limit_is_held_against_what_they_really_hold(family: int) -> None:
    watched = MemoryWatch(family)
    assert watched.look(2 * SHARED) < 2 * SHARED, "the sum of what is resident is three times as much"
    assert watched.look(0.5 * SHARED) > 0.5 * SHARED


@ON_LINUX
def test_pages_are_walked_only_while_more_becomes_resident(
    family: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, walked = MemoryWatch(family), []
    told = memory.pss_bytes
    monkeypatch.setattr(memory, "pss_bytes", lambda pid: walked.append(pid) or told(pid))
    for _ in range(5):
        watched.look(float("inf"))
    assert len(walked) == 3, "one look at each of three processes"


@ON_LINUX
def test_where_the_system_tells_no_proportional_memory_there_is_none(family: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(memory, "pss_bytes", lambda pid: None)
    watched = MemoryWatch(family)
    assert watched.look(float("inf")) == watched.rss_bytes
    assert watched.pss_bytes is None


def test_a_loaders_figure_is_the_proportional_one_and_an_older_version_s_is_read() -> None:
    made = run_folders.result(run_folders.cell("data"), [200.0, 210.0])
    assert cells.most(made, "peak_memory_bytes") == 600_000_000, "what an older version summed"
    rounds = [msgspec.structs.replace(one, peak_pss_bytes=410_000_000) for one in made.rounds]
    now = msgspec.structs.replace(made, rounds=rounds)
    assert cells.most(now, "peak_memory_bytes") == 410_000_000
