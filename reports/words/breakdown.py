"""Which parts a breakdown has, and in which order they are named."""

from __future__ import annotations

from collections.abc import Iterable
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

    def note(self, cells: Iterable[CellResult]) -> str:
        """Return what the parts of these cells are."""
        rounds = rounds_with_parts(cells, self)
        if not self.total:
            return f"Medians in milliseconds, of {self.of}; over rounds, the median of those."
        measured = f", measured in {rounds} rounds" if rounds else ""
        return (
            f"Milliseconds of {self.of}: together what the cell's rate over all rounds comes to. Each part "
            f"is its share of a step taken apart after the window{measured}: a difference of medians."
        )


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
    """Return milliseconds by part, which add up to `whole_of`; {} where none is recorded.

    Where the whole is the cell's own figure, of a window of its own, a part has its share of that: parts are
    measured in turn after the window, and of fewer rounds. Its share is of all parts together, which are the
    step that was measured among them.
    """
    parts = {name: ms for name, ms in _recorded(cell, kind).items() if name != kind.total}
    together, whole = sum(parts.values()), _figure_ms(cell, kind)
    return {name: ms * whole / together for name, ms in parts.items()} if whole and together > 0 else parts


def whole_of(cell: CellResult, kind: Breakdown) -> float | None:
    """Return what the parts add up to, the cell's figure where they are parts of that; None without any."""
    parts = parts_of(cell, kind)
    return sum(parts.values()) if parts else None


def rounds_with_parts(cells: Iterable[CellResult], kind: Breakdown) -> str:
    """Return of how many of their rounds the parts of some cells are: 1 of 10, or 4 of 4; "" without any."""
    found = [(sum(kind.stat in one.stats for one in cell.rounds), len(cell.rounds)) for cell in cells]
    return " or ".join(dict.fromkeys(f"{having} of {of}" for having, of in found if having))


def _recorded(cell: CellResult, kind: Breakdown) -> dict[str, float]:
    found = cell.stats.get(kind.stat)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): float(ms) for name, ms in pairs if isinstance(ms, int | float)}


def _figure_ms(cell: CellResult, kind: Breakdown) -> float | None:
    """Return the milliseconds of a step at the cell's rate; None where the parts make the whole."""
    per_s = cell.stats.get("value")
    return 1e3 / per_s if kind.total and isinstance(per_s, int | float) and per_s > 0 else None


def cells_of(run: Run, kind: Breakdown) -> list[CellResult]:
    """Return the cells of the scenario in their order, without second arms."""
    found = [c for c in run.cells if c.axes.scenario == kind.scenario and not c.axes.replica]
    return sorted(found, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes), c.id))


def names_of(cells: list[CellResult], kind: Breakdown) -> list[str]:
    """Return the parts that any of the cells has, in the order in which they happen."""
    seen = dict.fromkeys(name for cell in cells for name in parts_of(cell, kind))
    known = [name for name in kind.parts if name in seen]
    return [*known, *(name for name in seen if name not in kind.parts)]
