"""The exit codes of verbs whose work ended but went wrong in part."""

from __future__ import annotations

CHECK_FAILED = 1
SOME_CELLS_FAILED = 3


def went_wrong(status: str) -> bool:
    """Return whether a cell of a status failed; one that this machine cannot run is no failure."""
    return status not in {"ok", "unsupported"}
