"""Calls of a child that a stage waits for, with a bar on the screen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench import console, launch, machine
from bench.rundir import RunFolder


def call_with_bar(
    entry: str, payload: dict[str, Any], folder: Path, title: str, run: RunFolder | None = None
) -> dict[str, Any]:
    """Return what a child gives, its "batch" events shown as a bar; its folder goes when it went well.

    Without a run the folder is taken to be a temporary one, whose log nobody will find.
    """
    threads = run.settings.threads if run else machine.usable_cores()
    device = payload.get("device", "cpu")
    with console.bar(title) as move:
        outcome = launch.call(
            entry,
            payload,
            folder,
            env=launch.thread_environment(threads, device=device) | launch.PASSIVE,
            log_stays=run is not None,
            on_event=lambda name, event: move(event["seen"], event["of"]) if name == "batch" else None,
        )
    value = launch.value_of(outcome)
    shutil.rmtree(folder, ignore_errors=True)
    return value
