"""The table of people: how near the twins predict them, by size, by visibility and by joint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import fmean

from bench.cells.cell import TWINS
from pose.similarity import PersonSimilarity
from pose.skeleton import COCO
from reports.formats import FIRST_LESS_SECOND, TWIN_NAMES, Absent, Value, difference, score
from reports.run.missing import command
from reports.run.people import people
from reports.run.read import Run
from reports.tables.table import Column, Row, Table

Values = Callable[[PersonSimilarity], list[float]]
MEDIUM, LARGE = 32.0**2, 96.0**2
"""Square pixels: COCO's own bounds."""
SEEN = {2: "visible", 1: "hidden"}


def table(run: Run) -> Table | None:
    """Return the mean OKS of both twins for kinds of people and joints; None without predictions."""
    by_twin = people(run)
    if not by_twin:
        return None
    return Table(
        name="people",
        title="How near people are predicted",
        columns=(
            Column("kind", "Of"),
            Column("count", "Count", kind="number"),
            *(Column(f"OKS_{twin}", f"{TWIN_NAMES[twin]} OKS", score, "number") for twin in TWINS),
            Column("difference", FIRST_LESS_SECOND, difference, "number"),
        ),
        rows=tuple(_row(group, name, values, by_twin) for group, name, values in _kinds()),
        note="The mean similarity of people, or of single joints, on the validation part, at each twin's "
        "best epoch: 1 is exact, 0 is far. Of each person the nearest prediction counts; sizes are COCO's.",
        command=command(run, "train"),
        source="train/*/predictions and ground_truth.json",
        grouped_by="Kind",
    )


def _kinds() -> Iterator[tuple[str, str, Values]]:
    """Yield what is told apart: group, name, and what a person adds to it."""
    yield "People", "all", partial(_of_size, 0.0, math.inf)
    yield "People", "small, below 32² pixels", partial(_of_size, 0.0, MEDIUM)
    yield "People", "medium, below 96²", partial(_of_size, MEDIUM, LARGE)
    yield "People", "large", partial(_of_size, LARGE, math.inf)
    for visibility, name in SEEN.items():
        yield "Joints", name, partial(_seen, visibility)
    for part in dict.fromkeys(joint.rpartition("_")[2] for joint in COCO.joints):
        yield "Joints", part, partial(_of_joint, part)


def _of_size(low: float, high: float, one: PersonSimilarity) -> list[float]:
    return [one.oks] if low <= one.area < high else []


def _seen(visibility: int, one: PersonSimilarity) -> list[float]:
    each = zip(one.joints, one.visibility, strict=True)
    return [value for value, seen in each if value is not None and seen == visibility]


def _of_joint(part: str, one: PersonSimilarity) -> list[float]:
    each = zip(one.joints, COCO.joints, strict=True)
    return [value for value, name in each if value is not None and name.endswith(part)]


def _row(group: str, name: str, values: Values, by_twin: Mapping[str, list[PersonSimilarity]]) -> Row:
    found = {twin: [v for one in them for v in values(one)] for twin, them in by_twin.items()}
    means: dict[str, Value] = {twin: fmean(of) for twin, of in found.items() if of}
    gone = Absent("nobody of this kind, or the twin has no predictions", quiet=True)
    both = [means.get(twin, gone) for twin in TWINS]
    first, second = both
    apart = first - second if isinstance(first, float) and isinstance(second, float) else gone
    return Row((name, max(map(len, found.values())), *both, apart), group)
