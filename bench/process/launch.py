"""Runs a function in a fresh process and waits for it, whatever becomes of it.

Request and answer are files in a folder of the caller's: those of `bench.process.messages`, and log.txt.
Nothing is ever read from the child's standard output.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

import msgspec

from bench.contract import plain
from bench.machine import procfs
from bench.process import environment
from bench.process.memory import MemoryWatch
from bench.process.messages import ChildRequest, ChildResult
from pose.errors import Unsupported, UserError
from pose.files import read_as, write_json

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.25
"""Between two looks at the events and the memory: seldom enough not to disturb what is measured."""
GRACE_S = 3.0
"""From SIGTERM to SIGKILL."""

LONGEST_WORDS = 200
"""Characters of a crashed child's last line that a reason quotes."""

OnEvent = Callable[[str, dict[str, Any]], None]


class ChildFailed(Exception):
    """A child crashed, ran out of time or memory; the message is the reason."""


@dataclass(frozen=True)
class Outcome:
    """What became of a child."""

    status: str
    """`ok`, `failed`, `timeout`, `oom`, `unsupported` or `user_error`."""
    reason: str | None
    """One line; None when ok."""
    value: dict[str, Any] | None
    wall_s: float
    memory: MemoryWatch | None = None
    """The most that the child and its children were seen to hold together; None where nobody looked."""


def call(
    entry: str,
    payload: Mapping[str, Any],
    folder: Path,
    *,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
    interpreter: str | None = None,
    working_folder: Path | None = None,
    cpus: Sequence[int] | None = None,
    memory_limit_bytes: int | None = None,
    on_event: OnEvent | None = None,
    log_stays: bool = True,
) -> Outcome:
    """Run `entry` ("module:function") on `payload` in a fresh process and return what became of it.

    env is laid over this process's environment, of which allocator settings are left out.
    cpus are the logical processors that the child may run on; None leaves it those that it inherits.
    memory_limit_bytes bounds the memory of the child and its children together, shared pages counted once.
    on_event(name, fields) is called here, in this thread, soon after the child emits.
    log_stays: whether the folder outlives the command; only then does a reason name the log in it.
    The child and its children are gone when this returns or raises.
    """
    folder = Path(folder).resolve()
    for stale in ("result.json", "events.jsonl"):
        (folder / stale).unlink(missing_ok=True)
    request = ChildRequest(entry=entry, payload=plain(payload), parent=os.getpid(), cpus=plain(cpus))
    write_json(folder / "request.json", msgspec.to_builtins(request))
    command = [interpreter or sys.executable, "-P", "-m", "bench.process.worker", str(folder)]
    kills_before = oom_kills() or 0
    started_s = time.monotonic()
    with open(folder / "log.txt", "wb") as log, _sigterm_raises():
        try:
            child = _Child(
                command, _environment(env or {}), working_folder, log, folder / "events.jsonl", on_event
            )
        except OSError as error:
            where = f" in {working_folder}" if working_folder else ""
            reason = f"cannot start {command[0]}{where}: {error.strerror}; expected a Python interpreter"
            return Outcome("failed", reason, None, 0.0)
        try:
            stopped = child.watch(timeout_s, memory_limit_bytes)
        finally:
            child.end()
    wall_s = time.monotonic() - started_s
    see = f" (see {folder / 'log.txt'})" if log_stays else ""
    if (folder / "result.json").exists():
        return _read_result(folder, wall_s, child.memory, see)
    returncode = child.process.returncode
    status, reason = stopped or _post_mortem(
        returncode, (oom_kills() or 0) > kills_before, folder / "log.txt", see
    )
    return Outcome(status, reason, None, wall_s, child.memory)


def _read_result(folder: Path, wall_s: float, memory: MemoryWatch | None, see: str) -> Outcome:
    result = read_as(folder / "result.json", ChildResult, "a result that bench.process.worker wrote")
    reason = f"{result.reason}{see}" if result.status == "failed" else result.reason
    return Outcome(result.status, reason, result.value, wall_s, memory)


class _Child:
    """A running child: its exit, its events and its memory."""

    def __init__(
        self,
        command: list[str],
        env: dict[str, str],
        working_folder: Path | None,
        log: IO[bytes],
        events: Path,
        on_event: OnEvent | None,
    ) -> None:
        self.events = events
        self.offset = 0
        self.on_event = on_event
        self.exited = threading.Event()
        self.memory: MemoryWatch | None = None
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=working_folder,
            start_new_session=True,
        )
        # Popen.wait(timeout) polls; a thread that waits without one sleeps in the kernel.
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self.process.wait()
        self.exited.set()

    def watch(self, timeout_s: float | None, memory_limit_bytes: int | None) -> tuple[str, str] | None:
        """Block until the child exits (None) or has to be stopped (status and reason)."""
        deadline_s = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
        while not self.exited.wait(max(0.0, min(POLL_S, deadline_s - time.monotonic()))):
            self._tell()
            if time.monotonic() >= deadline_s:
                return "timeout", f"no result after {timeout_s:g} s"
            if memory_limit_bytes is not None:
                self.memory = self.memory or MemoryWatch(self.process.pid)
                used = self.memory.look(memory_limit_bytes)
                if used > memory_limit_bytes:
                    limit = memory_limit_bytes / 2**20
                    return "oom", f"used {used / 2**20:.0f} MiB of memory, limit {limit:.0f} MiB"
        self._tell()
        return None

    def _tell(self) -> None:
        if self.on_event is None or not self.events.exists():
            return
        with open(self.events, "rb") as handle:
            handle.seek(self.offset)
            whole, newline, _ = handle.read().rpartition(b"\n")
        self.offset += len(whole) + len(newline)
        for line in whole.splitlines():
            fields = json.loads(line)
            self.on_event(fields.pop("event"), fields)

    def end(self) -> None:
        """Leave nothing of the child's process group alive."""
        if not self.exited.is_set():
            _signal_group(self.process.pid, signal.SIGTERM)
            self.exited.wait(GRACE_S)
        _signal_group(self.process.pid, signal.SIGKILL)
        self.exited.wait()


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into an exception while a child runs, so that the child is ended first."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _environment(over: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    merged = kept | {"PYTHONUNBUFFERED": "1"} | dict(over)
    # A checkout need not be installed in the interpreter that a cell names; site-packages must not leak.
    if (ROOT / "pyproject.toml").exists():
        merged["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), merged.get("PYTHONPATH", "")]))
    return merged


def oom_kills() -> int | None:
    """Return how many processes the kernel has killed for want of memory since it started; None if untold."""
    return procfs.fields(procfs.read("proc/vmstat")).get("oom_kill")


def _post_mortem(returncode: int, oom_killed: bool, log: Path, see: str) -> tuple[str, str]:
    if returncode == -signal.SIGKILL and oom_killed:
        return "oom", "killed by the kernel for want of memory"
    if returncode < 0:
        what = f"killed by {signal.Signals(-returncode).name}"
    else:
        what = f"ended with exit code {returncode} and no result"
    return "failed", f"{what}{_last_words(log)}{see}"


def _last_words(log: Path) -> str:
    """Return the last line that a crashed child logged, as the end of a reason: the log may not be kept."""
    # What faulthandler adds tells where, not why.
    said = log.read_text(errors="replace").partition("Fatal Python error:")[0].split("\n")
    lines = [" ".join(line.split()) for line in said if line.strip()]
    return f": {lines[-1][:LONGEST_WORDS]}" if lines else ""


def value_of(outcome: Outcome) -> dict[str, Any]:
    """Return what a child gave; raise UserError, Unsupported or ChildFailed for anything else."""
    if outcome.status == "ok":
        return outcome.value or {}
    kinds = {"user_error": UserError, "unsupported": Unsupported}
    raise kinds.get(outcome.status, ChildFailed)(outcome.reason or outcome.status)


def in_child(entry: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return what `entry` gives in a short-lived child on the CPU; raise what went wrong there."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = call(entry, payload, Path(folder), env=environment.thread_environment(2), log_stays=False)
        return value_of(outcome)
