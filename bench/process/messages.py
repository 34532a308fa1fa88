"""What a parent and its child tell each other, a file a record.

log.txt beside them has what the child printed.
"""

from __future__ import annotations

from typing import Any

import msgspec


class ChildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """request.json: what a child is asked for."""

    entry: str
    """The function that it calls, as "module:function"."""
    payload: dict[str, Any]
    """What the function is given; its docstring names the fields."""
    parent: int | None = None
    """The process that waits for it: the child ends when that one does."""
    cpus: list[int] | None = None
    """The logical processors that it may run on; None leaves it those that it inherits."""


class ChildEvent(msgspec.Struct, frozen=True):
    """A line of events.jsonl: something that happened on the way."""

    event: str
    """What happened, such as `imported`, `phase`, `batch` or `epoch`; the other fields tell of it."""


class ChildResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """result.json: what a child came to; there is none of one that crashed or was ended."""

    status: str
    """`ok`, `failed`, `oom`, `unsupported` or `user_error`."""
    reason: str | None
    """One line; None when ok."""
    value: dict[str, Any] | None
    """What the function returned; None unless ok."""
    traceback: str | None = None
    """Of what the function raised."""
