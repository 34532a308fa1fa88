"""Real processes: whatever becomes of a child, its parent learns it and outlives it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.process import environment, launch
from pose.errors import UserError

TESTS = str(Path(__file__).parents[1])


def run(function: str, payload: dict[str, Any], folder: Path, **options: Any) -> launch.Outcome:
    env = {"PYTHONPATH": TESTS} | options.pop("env", {})
    return launch.call(f"children:{function}", payload, folder, env=env, **options)


def until(condition: Any, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "what was awaited did not happen"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Return whether a process has ended; who adopted it may not have reaped it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_value_crosses_with_numpy_as_plain_json(tmp_path: Path) -> None:
    outcome = run("echo", {"path": tmp_path, "x": 1.5}, tmp_path)
    assert (outcome.status, outcome.reason) == ("ok", None)
    assert outcome.value is not None
    assert outcome.value["payload"] == {"path": str(tmp_path), "x": 1.5}
    assert outcome.value["array"] == [0, 1, 2]
    assert outcome.value["nan"] is None
    assert outcome.value["pid"] != os.getpid()
    assert outcome.wall_s > 0


def test_events_arrive_in_order(tmp_path: Path) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    run("echo", {"steps": 3}, tmp_path, on_event=lambda name, fields: heard.append((name, fields)))
    assert heard[0][0] == "imported"
    assert heard[1:] == [("step", {"step": i, "loss": 0.5}) for i in range(3)]


def test_what_a_child_prints_goes_to_the_log_and_decides_nothing(tmp_path: Path, capfd: Any) -> None:
    assert run("chatter", {}, tmp_path).status == "ok"
    assert "noise" in (tmp_path / "log.txt").read_text()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("user", "user_error", "what was given"),
        ("unsupported", "unsupported", "what was given"),
        ("memory", "oom", "MemoryError: what was given"),
        ("runtime", "failed", "RuntimeError: what was given (see "),
    ],
)
def test_what_a_child_raises_becomes_a_status(tmp_path: Path, kind: str, status: str, reason: str) -> None:
    outcome = run("raises", {"kind": kind, "message": "what was\ngiven"}, tmp_path)
    assert outcome.status == status
    assert outcome.reason is not None
    assert outcome.reason.startswith(reason)
    assert "\n" not in outcome.reason
    assert json.loads((tmp_path / "result.json").read_text())["traceback"].startswith("Traceback")


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 20 GiB",
        "DefaultCPUAllocator: can't allocate memory",
        "std::bad_alloc",
    ],
)
def test_a_frameworks_own_words_for_no_memory_are_understood(tmp_path: Path, message: str) -> None:
    assert run("raises", {"kind": "runtime", "message": message}, tmp_path).status == "oom"


def test_a_reason_fits_in_a_table(tmp_path: Path) -> None:
    outcome = run("raises", {"kind": "runtime", "message": "x" * 10_000}, tmp_path)
    assert len(str(outcome.reason)) < 400 + len(str(tmp_path))


def test_a_missing_framework_names_the_extra(tmp_path: Path) -> None:
    outcome = run("lacks_framework", {}, tmp_path)
    assert outcome.status == "unsupported"
    assert outcome.reason is not None
    assert outcome.reason.endswith("install the extra: pip install twinpose[tf]")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("aborts", "killed by SIGABRT"),
        ("segfaults", "killed by SIGSEGV"),
        ("leaves", "exit code 3 and no result"),
    ],
)
def test_a_crash_is_a_failure_with_its_cause(tmp_path: Path, function: str, words: str) -> None:
    outcome = run(function, {}, tmp_path)
    assert outcome.status == "failed"
    assert words in str(outcome.reason)
    assert str(tmp_path / "log.txt") in str(outcome.reason)


def test_a_crash_quotes_the_last_words(tmp_path: Path) -> None:
    outcome = run("aborts", {"words": "an early line\n\n  the   cause " + "x" * 1000 + "\n\n"}, tmp_path)
    assert str(outcome.reason).startswith("killed by SIGABRT: the cause xxx")
    assert len(str(outcome.reason)) < 300 + len(str(tmp_path))


def test_a_child_that_hangs_is_ended_with_its_own_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    outcome = run("hangs", {"pids": pids}, tmp_path, timeout_s=1.5)
    assert (outcome.status, outcome.reason) == ("timeout", "no result after 1.5 s")
    assert outcome.wall_s < 6
    until(lambda: all(map(gone, map(int, pids.read_text().split()))))


@pytest.mark.parametrize("children", [0, 1])
def test_a_child_is_taken_down_in_order_only_where_it_has_children(tmp_path: Path, children: int) -> None:
    """What a framework does at its exit takes a second, and can crash; a loader ends its workers there."""
    marks = tmp_path / "marks"
    assert run("ends", {"marks": marks, "children": children}, tmp_path).status == "ok"
    assert marks.exists() is bool(children)


def test_a_child_above_its_memory_limit_is_ended(tmp_path: Path) -> None:
    outcome = run("eats_memory", {}, tmp_path, memory_limit_bytes=300 * 2**20, timeout_s=30)
    assert outcome.status == "oom"
    assert "limit 300 MiB" in str(outcome.reason)
    assert outcome.memory
    assert outcome.memory.rss_bytes > 300 * 2**20
    assert outcome.memory.pss_bytes is None, "of one process the resident memory is its own"
    unwatched = run("echo", {"x": 1}, tmp_path)
    assert (unwatched.status, unwatched.memory) == ("ok", None)


def test_a_child_killed_from_outside_is_a_failure(tmp_path: Path) -> None:
    def kill(name: str, fields: dict[str, Any]) -> None:
        if name == "hanging":
            os.kill(int((tmp_path / "pids").read_text().split()[0]), signal.SIGKILL)

    outcome = run("hangs", {"pids": tmp_path / "pids"}, tmp_path, timeout_s=30, on_event=kill)
    assert outcome.status == "failed"
    assert "killed by SIGKILL" in str(outcome.reason)


def test_an_exception_in_the_parent_ends_the_child(tmp_path: Path) -> None:
    def interrupt(name: str, fields: dict[str, Any]) -> None:
        if name == "hanging":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("hangs", {"pids": tmp_path / "pids"}, tmp_path, on_event=interrupt)
    until(lambda: all(map(gone, map(int, (tmp_path / "pids").read_text().split()))))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_dies_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    pids = tmp_path / "pids"
    script = (
        "from pathlib import Path; from bench.process import launch; "
        f"launch.call('children:hangs', {{'pids': {str(pids)!r}}}, Path({str(tmp_path)!r}))"
    )
    env = os.environ | {"PYTHONPATH": f"{launch.ROOT}:{TESTS}"}
    parent = subprocess.Popen([sys.executable, "-c", script], env=env)
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    child, grandchild = map(int, pids.read_text().split())
    parent.send_signal(number)
    parent.wait()
    try:
        until(lambda: gone(child))
        if number == signal.SIGTERM:
            assert parent.returncode == 128 + signal.SIGTERM
            until(lambda: gone(grandchild))
    finally:
        if psutil.pid_exists(grandchild):
            os.kill(grandchild, signal.SIGKILL)


def test_allocator_settings_of_the_caller_do_not_reach_a_child(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    names = {"names": ["MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"]}
    for allocator, expected in [("glibc", None), ("tuned", str(2**32))]:
        value = run(
            "environment", names, tmp_path, env=environment.thread_environment(3, allocator, "cpu")
        ).value
        assert value == {
            "MALLOC_TRIM_THRESHOLD_": expected,
            "OMP_NUM_THREADS": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }


def test_only_cuda_sees_the_gpu() -> None:
    assert "CUDA_VISIBLE_DEVICES" not in environment.thread_environment(2, "glibc", "cuda")
    with pytest.raises(UserError, match="expected glibc or tuned"):
        environment.thread_environment(2, "jemalloc", "cpu")


@pytest.mark.parametrize(
    ("entry", "words"), [("no_colon", "is no MODULE:NAME"), ("children:missing", "expected one of: .*echo")]
)
def test_a_wrong_entry_is_the_callers_mistake(tmp_path: Path, entry: str, words: str) -> None:
    outcome = launch.call(entry, {}, tmp_path, env={"PYTHONPATH": TESTS})
    assert outcome.status == "user_error"
    assert re.search(words, str(outcome.reason))


def test_a_missing_interpreter_is_a_failure(tmp_path: Path) -> None:
    outcome = run("echo", {}, tmp_path, interpreter=str(tmp_path / "python"))
    problem = "No such file or directory; expected a Python interpreter"
    assert (outcome.status, outcome.value) == ("failed", None)
    assert outcome.reason == f"cannot start {tmp_path / 'python'}: {problem}"


def test_an_earlier_result_is_never_taken_for_this_one(tmp_path: Path) -> None:
    assert run("echo", {}, tmp_path).status == "ok"
    assert run("aborts", {}, tmp_path).status == "failed"
