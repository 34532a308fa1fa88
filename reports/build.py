"""RUN/report from a run folder: the page, its tables and its plots."""

from __future__ import annotations

from pathlib import Path

from pose.errors import UserError
from pose.files import write_bytes
from reports.page import answers, html
from reports.plots import breakdown, forest, glance, samples, style, training
from reports.plots import parity as parity_
from reports.plots import plot as plot_
from reports.plots.cells import bench_plots
from reports.plots.plot import Plot
from reports.run.read import Run, read
from reports.tables import (
    accuracy,
    cells,
    commands,
    comparisons,
    conditions,
    conversion,
    headline,
    literature,
    measurement,
    mlperf,
    over_seeds,
    overview,
    parity,
)
from reports.tables import breakdown as breakdown_
from reports.tables import training as training_
from reports.tables.failures import failures
from reports.tables.table import Table, to_csv, to_latex, to_markdown


def build(run: Path, out: Path | None = None) -> Path:
    """Write a report from the run alone, by default into RUN/report; return the path of report.html.

    The same run gives the same bytes. Files of an earlier report are replaced, those of parts that
    are gone removed. Raises UserError when the folder is no run or a file in it is malformed, and when
    `out` is neither new, nor empty, nor an earlier report.
    """
    if out is not None:
        _require_free(out)
    opened = read(run)
    found, drawn = all_tables(opened), [plot_.draw(plot) for plot in all_plots(opened)]
    page = html.render(opened, found, drawn)
    folder = opened.path / "report" if out is None else out
    files = {SUMMARY: answers.to_markdown(opened).encode()}
    files |= {f"tables/{table.name}.csv": to_csv(table).encode() for table in found}
    files |= {f"tables/{table.name}.md": to_markdown(table).encode() for table in found}
    files |= {f"tables/{table.name}.tex": to_latex(table).encode() for table in found}
    files |= {f"plots/{plot.plot.name}.svg": style.on_ground(plot.svg).encode() for plot in drawn}
    files |= {f"plots/{plot.plot.name}.png": plot.png for plot in drawn}
    # The page first: by it the folder is known as a report, should the rest be interrupted.
    for name, content in {PAGE: page.encode(), **files}.items():
        write_bytes(folder / name, content)
    for stale in {*folder.glob("tables/*"), *folder.glob("plots/*")} - {folder / name for name in files}:
        # A hidden file is what another process is writing this moment.
        if not stale.name.startswith("."):
            stale.unlink(missing_ok=True)
    return folder / PAGE


PAGE = "report.html"
SUMMARY = "summary.md"
"""The answers alone, for a pull request."""
_MARK = b": TwinPose report</title>"


def _require_free(out: Path) -> None:
    """Raise UserError where `out` holds what no report of ours wrote: stale tables and plots are removed."""
    page = out / PAGE
    if (out.is_dir() and not any(out.iterdir())) or not out.exists():
        return
    if not page.is_file() or _MARK not in page.read_bytes():
        raise UserError(f"{out} exists and is no report; expected a new or an empty folder for --out")


def all_tables(run: Run) -> list[Table]:
    """Return every table that the run has figures for."""
    of_training = (training_.per_epoch, training_.training, training_.epochs)
    trained = [table(run) for table in of_training] if run.training else []
    optional = (
        over_seeds.table(run),
        training_.test_part(run),
        literature.published(run),
        conversion.conversion(run),
        parity.checks(run),
        parity.certificates(run),
        measurement.table(run),
        comparisons.comparisons(run),
        accuracy.table(run),
        overview.overview(run),
        *breakdown_.tables(run),
        cells.every_cell(run),
        conditions.table(run),
        mlperf.table(run),
        failures(run),
        commands.stages(run),
    )
    return [headline.headline(run), *trained, *(table for table in optional if table)]


def all_plots(run: Run) -> list[Plot]:
    """Return every plot that the run has figures for."""
    found = (
        glance.plot(run),
        *training.training_curves(run),
        parity_.errors(run),
        forest.plot(run),
        *bench_plots(run),
        *breakdown.plots(run),
        samples.figure(run),
    )
    return [plot for plot in found if plot]
