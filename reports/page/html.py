"""The page: one file, its styles, plots and images inside it, nothing fetched and nothing executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.cells.cell import TWINS
from bench.cells.scenarios import SCENARIOS
from reports.formats import TWIN_NAMES, Absent
from reports.page import header, summary
from reports.plots import samples, style
from reports.plots.plot import Drawn
from reports.run.missing import Missing, command, missing
from reports.run.read import Run
from reports.tables.table import Table, letter, shown
from reports.words import ladder, measurement


@dataclass(frozen=True)
class PageSection:
    """A part of the page: what belongs to it, in order, or which parts of the run it would need."""

    key: str
    title: str
    items: tuple[Table | Drawn, ...]
    absent: tuple[Missing, ...] = ()


def environment() -> Environment:
    """Return the templates' environment: everything is escaped unless it is Markup."""
    found = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "shown": shown,
        "letter": letter,
        "inline": inline,
        "is_table": lambda item: isinstance(item, Table),
        "is_absent": lambda value: isinstance(value, Absent),
        "group_of": group_of,
    }
    return found


def inline(drawn: Drawn) -> Markup:
    """Return a plot as an element of the page; its texts are escaped by matplotlib and by style.inline."""
    plot = drawn.plot
    return Markup(style.inline(drawn.svg, plot.name, plot.title, plot.description))


def group_of(table: Table, index: int) -> str:
    """Return the name of the group that starts at a row, or "" when none does."""
    before = table.rows[index - 1].group if index else ""
    return table.rows[index].group if table.rows[index].group != before else ""


def sections(run: Run, tables: Sequence[Table], plots: Sequence[Drawn]) -> list[PageSection]:
    """Return the page's parts in order; a part without content says what is absent."""
    by_name: dict[str, list[Table | Drawn]] = {drawn.plot.name: [drawn] for drawn in plots}
    for table in tables:
        # A figure and the table of its numbers share a name, and stand together.
        by_name.setdefault(table.name, []).append(table)
    wanted = {
        "Accuracy by epoch": ("per_epoch_map", "training_ap", "training_loss", "learning_rate", "training"),
        "Test": ("test",),
        "Literature": ("literature",),
        "Conversion": ("conversion",),
        "Parity": ("parity_errors", "parity", "certificates"),
        "Comparisons": ("comparisons", "accuracies"),
        "Runtimes": (
            *("runtime_overview", "ap_against_latency"),
            *(one.name for one in SCENARIOS.values() if one.of == "network"),
            *("pipeline_parts", "train_parts", "runtime_comparison"),
        ),
        "Conditions": ("conditions", "mlperf"),
    }
    needed = {
        "Accuracy by epoch": "training",
        "Test": "test part",
        "Conversion": "conversion",
        "Parity": "parity",
        "Runtimes": "bench",
    }
    gone = missing(run)
    found = []
    for title, names in wanted.items():
        items = tuple(item for name in names for item in by_name.get(name, ()))
        part = needed.get(title)
        absent = tuple(m for m in gone if part and m.part.endswith(part))
        if items or absent:
            found.append(PageSection(title.lower().replace(" ", "-"), title, items, absent))
    return found


def render(run: Run, tables: Sequence[Table], plots: Sequence[Drawn]) -> str:
    """Return the page of a run."""
    by_name = {table.name: table for table in tables}
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            twins={twin: TWIN_NAMES[twin] for twin in TWINS},
            version=run.facts.get("twinpose") or "(version not recorded)",
            started=header.started(run),
            header=header.header(run),
            verdict=ladder.verdict(run.parity),
            verdict_status=run.parity.status if run.parity else "absent",
            measured=measurement.verdict(run),
            measurement=by_name.get("measurement"),
            summary=summary.sentences(run),
            headline=by_name["headline"],
            sections=sections(run, tables, plots),
            samples=[
                (sample, samples.data_uri(run, sample), samples.panels(sample)) for sample in run.samples
            ],
            samples_plot=next((d.plot for d in plots if d.plot.name == "samples"), None),
            samples_absent=[m for m in missing(run) if m.part == "sample images"],
            failures=by_name.get("failures"),
            stages=by_name.get("stages"),
            whole=command(run, "run"),
            made_by=command(run, "report"),
            light=Markup(style.variables(0)),
            dark=Markup(style.variables(1)),
        )
    )
