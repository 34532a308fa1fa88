"""The child: `python -m bench.process.worker FOLDER` turns request.json into events.jsonl and result.json."""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.cells import runtimes
from bench.contract import Entry, plain
from bench.process.messages import ChildRequest, ChildResult
from pose.errors import Unsupported, UserError
from pose.files import read_as, write_json

OUT_OF_MEMORY = ("out of memory", "oom when allocating", "not enough memory", "allocate memory", "bad_alloc")
"""How torch, TensorFlow, ONNX Runtime and OpenVINO word it; they share no exception type."""

LONGEST_REASON = 300
"""Characters of a reason; a table shows it, and the log has the rest."""

PR_SET_PDEATHSIG = 1


def resolve(entry: str) -> Any:
    """Return the object that "module:name" names; UserError when it is malformed or absent."""
    module, colon, name = entry.partition(":")
    if not (module and colon and name):
        raise UserError(f"entry '{entry}' is no MODULE:NAME; expected for example torch_impl.runner:Runner")
    found = importlib.import_module(module)
    if not hasattr(found, name):
        public = ", ".join(one for one in vars(found) if not one.startswith("_"))
        raise UserError(f"module '{module}' has no '{name}'; expected one of: {public}")
    return getattr(found, name)


def explain(error: BaseException) -> tuple[str, str]:
    """Return the status and the one-line reason of what a child's function raised."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return "user_error", text
    if isinstance(error, Unsupported):
        return "unsupported", text
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if runtime := runtimes.needing(package):
            return "unsupported", not_installed(package, runtime.to_install)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if len(reason) > LONGEST_REASON:
        reason = reason[:LONGEST_REASON] + " ..."
    if isinstance(error, MemoryError) or any(words in text.lower() for words in OUT_OF_MEMORY):
        return "oom", reason
    return "failed", reason


def not_installed(package: str, to_install: str) -> str:
    """Return that a package is absent, and what pip is given to get it: an extra of twinpose, or its name."""
    what = "the extra" if to_install.startswith("twinpose[") else "it"
    return f"{package} is not installed in this interpreter; install {what}: pip install {to_install}"


def run(folder: Path) -> ChildResult:
    """Run the request in `folder` and return its result."""
    request = read_as(folder / "request.json", ChildRequest, "a request that bench.process.launch wrote")
    _die_with(request.parent)
    if request.cpus:
        # The parent may sit on a core of its own, which a child would inherit.
        os.sched_setaffinity(0, request.cpus)
    with open(folder / "events.jsonl", "a", encoding="utf-8") as events:

        def emit(name: str, fields: Mapping[str, Any]) -> None:
            events.write(json.dumps(plain({"event": name, **fields})) + "\n")
            events.flush()

        try:
            started_ns = time.perf_counter_ns()
            function: Entry = resolve(request.entry)
            emit("imported", {"import_s": (time.perf_counter_ns() - started_ns) / 1e9})
            value = plain(function(request.payload, emit))
        except BaseException as error:
            traceback.print_exc()
            status, reason = explain(error)
            return ChildResult(status, reason, None, traceback.format_exc())
    return ChildResult("ok", None, value)


def _die_with(parent: int | None) -> None:
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before prctl took effect; then no signal will ever come.
    if os.getppid() != parent:
        os._exit(1)


def main(arguments: list[str]) -> int:
    """Run one request folder; the exit code says only whether a result was written."""
    faulthandler.enable()
    folder = Path(arguments[0])
    write_json(folder / "result.json", msgspec.to_builtins(run(folder)))
    return 0


def leave(code: int) -> None:
    """End this process without taking its frameworks down, which takes a second and can crash.

    One that has children of its own ends in order: its loaders end them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if not psutil.Process().children():
        os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
