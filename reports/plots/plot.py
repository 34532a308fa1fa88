"""A plot: its figure, its name, and how it is drawn as SVG and PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.plots import style

MARKERS = {"tf": "o", "torch": "s"}

Tips = dict[str, str]
"""ID of a group in the SVG -> what hovering it says."""

PNG_DPI = 150


@dataclass(frozen=True)
class Plot:
    """A drawn figure with everything its caption must say."""

    name: str
    """Of its files: plots/NAME.svg and plots/NAME.png."""
    title: str
    note: str
    command: str
    source: str
    figure: Figure
    description: str
    """What it shows, in words."""
    tooltips: Tips = field(default_factory=dict)
    small: bool = False
    """Stands beside others of its kind on a wide page."""
    table: str = ""
    """The table of its numbers, where it has another name than the plot."""

    @property
    def data(self) -> str:
        """Return the name of the table that has its numbers."""
        return self.table or self.name


@contextmanager
def drawing() -> Iterator[None]:
    """Set what every figure shares; no global state of pyplot is touched."""
    ink, muted = style.light("ink"), style.light("muted")
    settings: dict[Any, Any] = {
        "svg.hashsalt": "twinpose",
        "svg.fonttype": "none",
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "text.color": ink,
        "axes.labelcolor": muted,
        "axes.edgecolor": muted,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": style.light("grid"),
        "grid.linewidth": 0.7,
        "xtick.color": muted,
        "ytick.color": muted,
        "legend.frameon": False,
        "legend.labelcolor": ink,
        "figure.facecolor": "none",
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(settings):
        yield


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Make an axis of rows, downwards, with a name before each."""
    axes.set_yticks(range(len(names)), names, color=style.light("ink"))
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def write(axes: Axes, said: str, at: tuple[float, float], points: tuple[float, float], **look: Any) -> None:
    """Write small text, `points` away from a place of the plot; look: matplotlib's properties of text."""
    axes.annotate(said, at, xytext=points, textcoords="offset points", fontsize=8, **look)


@dataclass(frozen=True)
class Drawn:
    """A plot's two forms, with the same layout."""

    plot: Plot
    svg: str
    """On a transparent ground, in the palette's light colours."""
    png: bytes
    """On the light ground."""


def draw(plot: Plot) -> Drawn:
    """Return a figure as SVG and PNG, neither with a date."""
    svg, png = io.StringIO(), io.BytesIO()
    with drawing():
        plot.figure.draw_without_rendering()
        # The layout is found once and kept: it is half of the time, and both forms shall agree.
        plot.figure.set_layout_engine("none")
        plot.figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None, "Title": plot.title})
        plot.figure.savefig(
            png, format="png", dpi=PNG_DPI, metadata={"Software": None}, facecolor=style.light("ground")
        )
    return Drawn(plot, style.with_tooltips(svg.getvalue(), plot.tooltips), png.getvalue())
