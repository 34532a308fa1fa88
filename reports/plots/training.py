"""The figures of training, and how a figure becomes SVG and PNG: the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from bench.cells.cell import TWINS
from reports.formats import TWIN_NAMES
from reports.frames import over_seeds
from reports.plots import style
from reports.plots.plot import MARKERS, Plot, drawing
from reports.run.missing import command
from reports.run.read import Run

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
            "The star is the best epoch, whose checkpoint is kept. Boxes: ground truth.",
            _draw_ap,
        ),
        (
            "learning_rate",
            "Learning rate by epoch",
            "Both twins follow the suite's own schedule.",
            _draw_rate,
        ),
        (
            "loss_against_ap",
            "Loss against AP",
            "A point is an epoch: the same loss need not be the same AP.",
            _draw_loss_against_ap,
        ),
        (
            "epoch_time",
            "Time by epoch",
            "Steps are thick, validation is thin. Times of one training each rank nothing.",
            _draw_time,
        ),
    ]
    return [_curve(run, *kind) for kind in kinds]


def _curve(run: Run, name: str, title: str, note: str, draw: Callable[[Axes, Run], None]) -> Plot:
    with drawing():
        figure = Figure(figsize=(3.9, 3.2))
        axes = figure.add_subplot()
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        draw(axes, run)
        # Outside: within, a line may pass through it.
        figure.legend(loc="outside upper left", ncols=2, fontsize=8)
    who = " and ".join(TWIN_NAMES[twin] for twin in run.training)
    band = (
        f" A band is the range over {len(run.by_seed)} seeds; lines are of the first." if run.further else ""
    )
    return Plot(
        name=name,
        table="epochs",
        title=title,
        note=note + (band if draw in {_draw_loss, _draw_ap} else ""),
        command=command(run, "train"),
        source=", ".join(f"train/{twin}/epochs.jsonl" for twin in run.training),
        figure=figure,
        description=f"Line plot of {title[0].lower()}{title[1:]} for {who}; "
        "the numbers are in the per-epoch table.",
        small=True,
    )


def _draw_line(axes: Axes, run: Run, twin: str, what: str, label: str = "", **look: Any) -> None:
    """Draw what a twin's epochs hold of `what`; look: matplotlib's properties of lines."""
    known = [line for line in run.training[twin].epochs if getattr(line, what) is not None]
    axes.plot(
        *([line.epoch for line in known], [getattr(line, what) for line in known]),
        color=style.light(twin),
        linestyle=DASHES[twin],
        label=f"{TWIN_NAMES[twin]}{label}",
        **look,
    )


def _draw_band(axes: Axes, run: Run, twin: str, what: str) -> None:
    """Draw the range of `what` over the seeds of a run; nothing for a run of one."""
    if found := over_seeds.of_twin(run, twin, what):
        low, high = [one.low for one in found.values()], [one.high for one in found.values()]
        axes.fill_between([*found], low, high, color=style.light(twin), alpha=0.2, linewidth=0)


def _draw_loss(axes: Axes, run: Run) -> None:
    for twin in run.training:
        _draw_line(axes, run, twin, "train_loss", " train", linewidth=0.9)
        _draw_line(axes, run, twin, "val_loss", " val", linewidth=1.9)
        _draw_band(axes, run, twin, "val_loss")
    axes.set_yscale("log")
    axes.set_ylabel("loss (log scale)")


def _draw_ap(axes: Axes, run: Run) -> None:
    for twin, training in run.training.items():
        few = sum(line.ap is not None for line in training.epochs) <= 30
        _draw_line(
            axes, run, twin, "ap", linewidth=1.6, marker=MARKERS[twin] if few else None, markersize=3.5
        )
        _draw_band(axes, run, twin, "ap")
        if best := training.best:
            star = {"marker": "*", "markersize": 13, "color": style.light(twin)}
            axes.plot([best.epoch], [best.ap or 0.0], linestyle="none", **star)  # type: ignore[arg-type]
    # An axis that ends at 0.0003 would show noise as a curve.
    axes.set_ylim(0, max(SMALLEST_AP_TOP, axes.get_ylim()[1]))
    axes.set_ylabel("AP (OKS 0.50:0.95)")


def _draw_rate(axes: Axes, run: Run) -> None:
    for twin in run.training:
        # The rates are meant to be equal: a wide line under a narrow one shows that they are.
        width, alpha = (4.5, 0.55) if twin == TWINS[0] else (1.4, 1.0)
        _draw_line(axes, run, twin, "lr", drawstyle="steps-mid", linewidth=width, alpha=alpha)
    axes.set_yscale("log")
    axes.set_ylabel("learning rate (log scale)")


def _draw_loss_against_ap(axes: Axes, run: Run) -> None:
    for twin, training in run.training.items():
        lines = ((line.val_loss, line.ap) for line in training.epochs)
        known = [(loss, ap) for loss, ap in lines if loss is not None and ap is not None]
        axes.plot(
            *([loss for loss, _ in known], [ap for _, ap in known]),
            color=style.light(twin),
            linestyle=DASHES[twin],
            linewidth=0.8,
            marker=MARKERS[twin],
            markersize=3.5,
            label=TWIN_NAMES[twin],
        )
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 10 * low:  # where a logarithmic axis has no room for its labels, which are long
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:.2g}")
    axes.set_xlabel("validation loss (log scale)")
    axes.set_ylim(0, max(SMALLEST_AP_TOP, axes.get_ylim()[1]))
    axes.set_ylabel("AP (OKS 0.50:0.95)")


def _draw_time(axes: Axes, run: Run) -> None:
    for twin in run.training:
        _draw_line(axes, run, twin, "train_s", " steps", linewidth=1.9)
        _draw_line(axes, run, twin, "val_s", " validation", linewidth=0.9)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("seconds")
