"""Calls of a child that a stage waits for, with a bar on the screen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench import console
from bench.machine import fingerprint
from bench.process import environment, launch


def call_with_bar(
    entry: str,
    payload: dict[str, Any],
    folder: Path,
    title: str,
    threads: int | None = None,
    *,
    log_stays: bool = True,
) -> dict[str, Any]:
    """Return what a child gives, its "batch" events shown as a bar; its folder goes when it went well.

    threads bounds its pools; None for all usable cores. log_stays: whether the folder outlives a failure, so
    that the reason may name the log in it.
    """
    pools = environment.thread_environment(
        threads or fingerprint.usable_cores(), device=payload.get("device", "cpu")
    )
    with console.bar(title) as move:
        outcome = launch.call(
            entry,
            payload,
            folder,
            env=pools | environment.PASSIVE,
            log_stays=log_stays,
            on_event=lambda name, event: move(event["seen"], event["of"]) if name == "batch" else None,
        )
    value = launch.value_of(outcome)
    shutil.rmtree(folder, ignore_errors=True)
    return value
