"""Trainings that end as a power cut would: run in a child, killed at a chosen moment."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pose.files
from bench.contract import Emit


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train payload["twin"]; die as payload["kill"] says.

    "batch E N": at the first batch of epoch E with N samples seen or more. "before FILE K" and
    "after FILE K": at the K-th renaming of a file called FILE, before it or just after it.
    """
    when, *where = payload["kill"].split()
    renamed: dict[str, int] = {}
    real_replace = os.replace

    def replace(source: Any, target: Any) -> None:
        name = Path(target).name
        renamed[name] = renamed.get(name, 0) + 1
        now = where[:2] == [name, str(renamed[name])]
        if now and when == "before":
            kill()
        real_replace(source, target)
        if now and when == "after":
            kill()

    def watch(name: str, event: Mapping[str, Any]) -> None:
        emit(name, event)
        if when == "batch" and name == "batch" and [event["epoch"], event["seen"]] >= [int(w) for w in where]:
            kill()

    pose.files.os.replace = replace  # type: ignore[assignment]
    module = importlib.import_module(f"{payload['twin']}_impl.train")
    return dict(module.train(payload, watch))
