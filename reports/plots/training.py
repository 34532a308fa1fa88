"""The figures of training, and how a figure becomes SVG and PNG: the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.cells.cell import TWINS
from reports.formats import TWIN_NAMES
from reports.plots import style
from reports.plots.plot import MARKERS, Plot, drawing
from reports.run.missing import command
from reports.run.read import Epoch, Run

DASHES = {"tf": "-", "torch": (0, (4, 1.6))}
SMALLEST_AP_TOP = 0.05


def training_curves(run: Run) -> list[Plot]:
    """Return loss, AP and learning rate by epoch, of the twins that were trained."""
    if not run.training:
        return []
    kinds: list[tuple[str, str, str, Callable[[Axes, Run], None]]] = [
        ("training_loss", "Loss by epoch", "Training loss is thin, validation loss thick.", _draw_loss),
        (
            "training_ap",
            "Validation AP by epoch",
            "The ring marks the best epoch, whose checkpoint is kept. Boxes: ground truth.",
            _draw_ap,
        ),
        (
            "learning_rate",
            "Learning rate by epoch",
            "Both twins follow the suite's own schedule.",
            _draw_rate,
        ),
    ]
    return [_curve(run, *kind) for kind in kinds]


def _curve(run: Run, name: str, title: str, note: str, draw: Callable[[Axes, Run], None]) -> Plot:
    with drawing():
        figure = Figure(figsize=(3.9, 3.0))
        axes = figure.add_subplot()
        draw(axes, run)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(loc="best", fontsize=8)
    who = " and ".join(TWIN_NAMES[twin] for twin in run.training)
    return Plot(
        name=name,
        title=title,
        note=note,
        command=command(run, "train"),
        source=", ".join(f"train/{twin}/epochs.jsonl" for twin in run.training),
        figure=figure,
        description=f"Line plot of {title[0].lower()}{title[1:]} for {who}; "
        "the numbers are in the per-epoch table.",
        small=True,
    )


def _points(run: Run, twin: str, what: str) -> tuple[list[int], list[float]]:
    lines: list[Epoch] = [line for line in run.training[twin].epochs if getattr(line, what) is not None]
    return [line.epoch for line in lines], [getattr(line, what) for line in lines]


def _draw_loss(axes: Axes, run: Run) -> None:
    for twin in run.training:
        colour = style.light(twin)
        for what, label, width in (("train_loss", "train", 0.9), ("val_loss", "val", 1.9)):
            axes.plot(
                *_points(run, twin, what),
                color=colour,
                linewidth=width,
                linestyle=DASHES[twin],
                label=f"{TWIN_NAMES[twin]} {label}",
            )
    axes.set_yscale("log")
    axes.set_ylabel("loss (log scale)")


def _draw_ap(axes: Axes, run: Run) -> None:
    for twin, training in run.training.items():
        epochs, values = _points(run, twin, "ap")
        few = len(epochs) <= 30
        axes.plot(
            *(epochs, values),
            color=style.light(twin),
            linewidth=1.6,
            linestyle=DASHES[twin],
            marker=MARKERS[twin] if few else None,
            markersize=3.5,
            label=TWIN_NAMES[twin],
        )
        if best := training.best:
            axes.plot(
                *([best.epoch], [best.ap or 0.0]),
                color=style.light(twin),
                linestyle="none",
                marker="o",
                markersize=10,
                markerfacecolor="none",
                markeredgecolor=style.light(twin),
            )
    # An axis that ends at 0.0003 would show noise as a curve.
    axes.set_ylim(0, max(SMALLEST_AP_TOP, axes.get_ylim()[1]))
    axes.set_ylabel("AP (OKS 0.50:0.95)")


def _draw_rate(axes: Axes, run: Run) -> None:
    for twin in run.training:
        wide = twin == TWINS[0]
        # The rates are meant to be equal: a wide line under a narrow one shows that they are.
        axes.step(
            *_points(run, twin, "lr"),
            where="mid",
            color=style.light(twin),
            linewidth=4.5 if wide else 1.4,
            alpha=0.55 if wide else 1,
            linestyle=DASHES[twin],
            label=TWIN_NAMES[twin],
        )
    axes.set_yscale("log")
    axes.set_ylabel("learning rate (log scale)")
