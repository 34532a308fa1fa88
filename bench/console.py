"""How verbs talk: facts on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pose.errors import UserError

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
    """Print facts to standard output: as JSON, or as `text`; UserError when it cannot be written."""
    write_out(f"{json.dumps(value, indent=2) if as_json else text}\n")


def aligned(rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Return rows (n, m) of text as n lines of m aligned columns; those of `left` start at the left.

    A place in `left` below 0 counts from the last column. [] for no row.
    """
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    starting = {place % len(widths) for place in left} if widths else set()
    return [
        "  ".join(
            cell.ljust(width) if place in starting else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def write_out(text: str = "") -> None:
    """Write `text`, and what standard output still holds; UserError when that is impossible.

    A reader that has gone (`| head`) wants no more: that is no mistake.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise UserError(
            f"cannot write to standard output: {error.strerror or error}; expected a place with free space"
        ) from error


def _discard_output() -> None:
    """Let what standard output still holds go nowhere: Python would try again as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_streams() -> None:
    """Make the standard streams take any text: what the encoding lacks is escaped, a closed one is silent."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        getattr(sys, name).reconfigure(errors="backslashreplace")


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
