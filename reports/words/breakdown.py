"""Which parts a breakdown has, and in which order they are named."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cells import scenarios
from bench.run.results import CellResult
from reports.run.read import Run
from reports.words import cells as cells_


@dataclass(frozen=True)
class Breakdown:
    """What is broken down: a query of `pipeline`, or a step of `train`."""

    scenario: str
    stat: str
    parts: tuple[str, ...]
    """In the order in which they happen; others follow."""
    of: str
    title: str
    total: str = ""
    """The part that is the whole, where the bench measured that beside its parts."""


PIPELINE = Breakdown(
    scenario=scenarios.PIPELINE.name,
    stat="spans_ms",
    parts=("decode", "affine", "warp", "normalise", "network", "keypoints"),
    of="a query, from JPEG bytes to keypoints in image coordinates",
    title="Spans of a pipeline query",
)

TRAIN = Breakdown(
    scenario=scenarios.TRAIN.name,
    stat="phases_ms",
    parts=("to_device", "forward", "backward", "optimizer"),
    of="a training step on images that are ready",
    title="Phases of a training step",
    total="step",
)


def parts_of(cell: CellResult, kind: Breakdown) -> dict[str, float]:
    """Return milliseconds by part, without a part that is the whole; {} where none is recorded."""
    return {name: ms for name, ms in _recorded(cell, kind).items() if name != kind.total}


def _recorded(cell: CellResult, kind: Breakdown) -> dict[str, float]:
    found = cell.stats.get(kind.stat)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): float(ms) for name, ms in pairs if isinstance(ms, int | float)}


def whole_of(cell: CellResult, kind: Breakdown) -> float | None:
    """Return the measured whole, or else the sum of the parts; None without any."""
    parts = parts_of(cell, kind)
    return _recorded(cell, kind).get(kind.total, sum(parts.values())) if parts else None


def cells_of(run: Run, kind: Breakdown) -> list[CellResult]:
    """Return the cells of the scenario in their order, without second arms."""
    found = [c for c in run.cells if c.axes.scenario == kind.scenario and not c.axes.replica]
    return sorted(found, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes), c.id))


def names_of(cells: list[CellResult], kind: Breakdown) -> list[str]:
    """Return the parts that any of the cells has, in the order in which they happen."""
    seen = dict.fromkeys(name for cell in cells for name in parts_of(cell, kind))
    known = [name for name in kind.parts if name in seen]
    return [*known, *(name for name in seen if name not in kind.parts)]
