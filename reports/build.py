"""RUN/report from a run folder: the page, its tables and its plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pose.errors import UserError
from pose.files import write_bytes
from reports.page import answers, html, several
from reports.plots import breakdown, forest, glance, samples, style, training
from reports.plots import distribution as distribution_
from reports.plots import parity as parity_
from reports.plots import plot as plot_
from reports.plots import roofline as roofline_
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
    distribution,
    headline,
    literature,
    measurement,
    mlperf,
    network,
    over_seeds,
    overview,
    parity,
    people,
    roofline,
    startup,
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
    files = {SUMMARY: answers.to_markdown(opened).encode(), **_table_files(found)}
    files |= {f"plots/{plot.plot.name}.svg": style.on_ground(plot.svg).encode() for plot in drawn}
    files |= {f"plots/{plot.plot.name}.png": plot.png for plot in drawn}
    return _write(folder, page, files)


def build_several(paths: Sequence[Path], out: Path, made_by: str) -> Path:
    """Write a report of runs side by side into `out`; return the path of report.html.

    made_by: the command. Raises UserError when a folder is no run or is given twice, and when `out` is
    neither new, nor empty, nor an earlier report.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("a run folder was given twice; expected different ones")
    _require_free(out)
    found = several.labels([read(path) for path in paths])
    tables = several.all_tables(found)
    shown = [several.runs_table(found), *(table for _, of in tables for table in of)]
    return _write(out, several.render(found, tables, made_by), _table_files(shown))


def _table_files(found: Iterable[Table]) -> dict[str, bytes]:
    """Return the files of tables by path: CSV for programs, Markdown, LaTeX for papers."""
    forms = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
    return {f"tables/{t.name}.{end}": form(t).encode() for t in found for end, form in forms.items()}


def _write(folder: Path, page: str, files: Mapping[str, bytes]) -> Path:
    """Write a report's files, remove those of an earlier one that it has no more, return the page's path."""
    # The page first: by it the folder is known as a report, should the rest be interrupted.
    for name, content in {PAGE: page.encode(), **files}.items():
        write_bytes(folder / name, content)
    known = {*folder.glob("tables/*"), *folder.glob("plots/*"), folder / SUMMARY}
    for stale in known - {folder / name for name in files}:
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
        distribution.table(run),
        roofline.table(run),
        startup.table(run),
        network.table(run),
        *breakdown_.tables(run),
        cells.every_cell(run),
        conditions.table(run),
        mlperf.table(run),
        failures(run),
        people.table(run),
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
        distribution_.plot(run),
        roofline_.plot(run),
        *breakdown.plots(run),
        samples.figure(run),
    )
    return [plot for plot in found if plot]
