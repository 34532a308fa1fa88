"""How verbs talk: facts on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ERRORS = Console(stderr=True)


@dataclass
class Level:
    """How much is said: 0 quiet, 1 normal, 2 verbose. Set once by the command line."""

    value: int = 1


LEVEL = Level()


def say(text: str, *, level: int = 1) -> None:
    """Print a line of progress to standard error unless the level is below."""
    if LEVEL.value >= level:
        ERRORS.print(text, highlight=False, markup=False, soft_wrap=True)


def facts(value: Any, as_json: bool, text: str) -> None:
    """Print facts to standard output: as JSON, or as `text`."""
    print(json.dumps(value, indent=2) if as_json else text)


class Bar(Protocol):
    """What moves a progress bar."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show `done` of `total`, with a note behind."""


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    """Yield a progress bar on a terminal; elsewhere, or when quiet, it draws nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    disable = LEVEL.value < 1 or not sys.stderr.isatty()
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=ERRORS, disable=disable) as progress:
        task = progress.add_task(title, total=None, note="")

        def move(done: int, total: int, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield move
