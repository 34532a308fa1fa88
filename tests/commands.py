"""The command, run in the test's own process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

import pytest

from twinpose import cli


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | None
    out: str
    error: str


Say = Callable[..., Ended]


def twinpose(*words: object) -> Ended:
    """Run the command with these words; the children that it starts are real ones."""
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    argv = ["twinpose", *map(str, words)]
    with patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(error):
        with pytest.raises(SystemExit) as left:
            cli.main()
        sys.stdout.flush()
        sys.stderr.flush()
    said = [stream.buffer.getvalue().decode() for stream in (out, error)]  # type: ignore[attr-defined]
    return Ended(left.value.code or 0, *said)  # type: ignore[arg-type]


def succeeds(*words: object) -> str:
    """Return what the command prints, which must succeed."""
    ended = twinpose(*words)
    assert ended.code == 0, ended.error
    return ended.out


def refuses(*words: object) -> str:
    """Return the line with which the command refuses."""
    ended = twinpose(*words)
    assert ended.code == 2, ended.error
    return ended.error
