"""What tests run in children: functions that behave, and functions that misbehave in one way each."""

from __future__ import annotations

import atexit
import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import Emit
from pose.errors import Unsupported, UserError


def echo(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    for step in range(payload.get("steps", 0)):
        emit("step", {"step": np.int64(step), "loss": np.float32(0.5)})
    return {"payload": payload, "array": np.arange(3), "nan": float("nan"), "pid": os.getpid()}


def environment(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    return {name: os.environ.get(name) for name in payload["names"]}


def chatter(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    print('{"status": "failed"}')
    print("noise", file=sys.stderr)
    return {}


def raises(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    kinds = {"user": UserError, "unsupported": Unsupported, "memory": MemoryError, "runtime": RuntimeError}
    raise kinds[payload["kind"]](payload["message"])


def lacks_framework(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")


def aborts(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    print(payload.get("words", ""), file=sys.stderr)
    os.abort()


def segfaults(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def hangs(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    # A grandchild as well: what a worker started must end with it.
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(payload["pids"]).write_text(f"{os.getpid()} {sleeper.pid}")
    emit("hanging", {})
    time.sleep(600)
    return {}


def eats_memory(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    eaten = []
    while True:
        eaten.append(np.ones(2**21))
        time.sleep(0.02)


def leaves(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    os._exit(3)


def ends(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Says at its exit that it was taken down in order; payload: "marks", "children"."""
    atexit.register(Path(payload["marks"]).touch)
    for _ in range(payload["children"]):
        child = subprocess.Popen(["sleep", "60"])
        atexit.register(child.kill)
    return {}


def affinity(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Return the logical processors that this child may run on."""
    return {"cpus": sorted(os.sched_getaffinity(0))}
