"""The exit codes of verbs whose work ended but went wrong in part."""

from __future__ import annotations

from bench.run.results import CellResult

CHECK_FAILED = 1
SOME_CELLS_FAILED = 3


def failed_cells(results: list[CellResult]) -> list[CellResult]:
    """Return the cells that went wrong; one that this machine cannot run is no failure."""
    return [result for result in results if result.status not in {"ok", "unsupported"}]
