"""The mark of a cell, the same in every figure: its shape is the runtime, its colour the twin.

Half-filled is doubted. A hollow mark is no cell's: it is an inconclusive comparison.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.cells.cell import TWINS, Cell
from bench.cells.runtimes import PRECISIONS, RUNTIMES
from bench.run.results import CellResult
from reports.formats import TWIN_NAMES
from reports.plots import style
from reports.run.read import Run

SHAPES = ("o", "s", "^", "D", "v", "P", "p", "<", ">", "h", "d", "8")
"""matplotlib's filled markers without the cross, which is a failed check's, and the star, a best epoch's."""
DOUBTED = "half-filled: flagged or invalid"
SHAPE_SAYS = "A shape is a runtime with its mode and precision"

Kind = tuple[str, str, str]
"""Runtime, mode and precision."""


@lru_cache(maxsize=1)
def shapes(run: Run) -> dict[Kind, str]:
    """Return the shape of every runtime, mode and precision of a run: those as shipped in fp32 come first."""
    usual = [(one.name, one.as_shipped, "fp32") for one in RUNTIMES.values()]
    further = sorted({_kind(cell.axes) for cell in run.cells} - set(usual), key=_order)
    return {kind: SHAPES[place % len(SHAPES)] for place, kind in enumerate((*usual, *further))}


def _kind(axes: Cell) -> Kind:
    return axes.runtime, axes.mode, axes.precision


def _order(kind: Kind) -> tuple[int, int, str]:
    runtime, mode, precision = kind
    return PRECISIONS.index(precision), list(RUNTIMES).index(runtime), mode


def mark(run: Run, cell: CellResult, size: float = 6.5) -> dict[str, Any]:
    """Return how a cell's point is drawn, as matplotlib's properties of a line."""
    colour = style.light(cell.axes.twin)
    return {
        "marker": shapes(run)[_kind(cell.axes)],
        "markersize": size,
        "markeredgewidth": 1.2,
        **_filling(colour, doubted=_is_doubted(cell)),
    }


def _filling(colour: str, *, doubted: bool) -> dict[str, Any]:
    found = {"color": colour, "markeredgecolor": colour, "markerfacecolor": colour}
    half = {"fillstyle": "left", "markerfacecoloralt": style.light("ground")}
    return found | (half if doubted else {})


def _is_doubted(cell: CellResult) -> bool:
    return cell.validity.verdict != "VALID"


def add_legend(figure: Figure, cells: Collection[CellResult]) -> None:
    """Say above a figure whose a colour is and, where a mark is half-filled, what that means."""
    handles: list[Artist] = [
        Patch(facecolor=style.light(twin), linewidth=0, label=f"{TWIN_NAMES[twin]} twin")
        for twin in TWINS
        if any(cell.axes.twin == twin for cell in cells)
    ]
    if any(map(_is_doubted, cells)):
        look = _filling(style.light("muted"), doubted=True)
        handles.append(Line2D([], [], linestyle="none", marker="o", markersize=6, label=DOUBTED, **look))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), fontsize=8)
