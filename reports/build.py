"""RUN/report from a run folder: the page, its tables and its plots."""

from __future__ import annotations

import shutil
from pathlib import Path

from pose.files import write_bytes, write_text
from reports import (
    accuracy_table,
    bench_tables,
    breakdown,
    cell_table,
    comparison_tables,
    conditions,
    facts,
    forest,
    html,
    loadgen,
    measurement_table,
    parity,
    parity_plot,
    plots,
    skeletons,
    style,
    summary,
    tables,
)
from reports.bench_plots import bench_plots
from reports.failures import failures
from reports.plots import Plot
from reports.run import Run, read
from reports.table import Table, to_csv, to_markdown


def build(run: Path) -> Path:
    """Write RUN/report from the run alone; return the path of report.html.

    The same run gives the same bytes. Files of an earlier report are replaced, those of parts that
    are gone removed. Raises UserError when the folder is no run or a file in it is malformed.
    """
    opened = read(run)
    found, drawn = all_tables(opened), [plots.draw(plot) for plot in all_plots(opened)]
    page = html.render(opened, found, drawn)
    folder = opened.path / "report"
    for stale in ("tables", "plots"):
        shutil.rmtree(folder / stale, ignore_errors=True)
    for table in found:
        write_text(folder / "tables" / f"{table.name}.csv", to_csv(table))
        write_text(folder / "tables" / f"{table.name}.md", to_markdown(table))
    for plot in drawn:
        write_text(folder / "plots" / f"{plot.plot.name}.svg", style.on_ground(plot.svg))
        write_bytes(folder / "plots" / f"{plot.plot.name}.png", plot.png)
    path = folder / "report.html"
    write_text(path, page)
    return path


def all_tables(run: Run) -> list[Table]:
    """Return every table that the run has figures for."""
    trained = [tables.per_epoch(run), tables.training(run)] if run.training else []
    optional = (
        tables.test_part(run),
        tables.published(run),
        tables.conversion(run),
        parity.checks(run),
        parity.certificates(run),
        measurement_table.table(run),
        comparison_tables.comparisons(run),
        accuracy_table.table(run),
        bench_tables.overview(run),
        *breakdown.tables(run),
        cell_table.every_cell(run),
        conditions.table(run),
        loadgen.table(run),
        failures(run),
        facts.stages(run),
    )
    return [summary.headline(run), *trained, *(table for table in optional if table)]


def all_plots(run: Run) -> list[Plot]:
    """Return every plot that the run has figures for."""
    found = (
        *plots.training_curves(run),
        parity_plot.errors(run),
        forest.plot(run),
        *bench_plots(run),
        *breakdown.plots(run),
        skeletons.figure(run),
    )
    return [plot for plot in found if plot]
