"""What `twinpose doctor` finds: a cause, how much it matters, and its cure."""

from __future__ import annotations

from dataclasses import dataclass

SPOILS, NOTE, UNSUPPORTED = "spoils", "note", "unsupported"
"""Figures measured here are wrong or waver; they hold, but this is to be known; cells cannot run."""


@dataclass(frozen=True)
class Finding:
    """One thing that spoils a measurement, is to be known, or leaves cells unsupported; and its cure."""

    severity: str
    """`spoils`, `note` or `unsupported`."""
    what: str
    cure: str
