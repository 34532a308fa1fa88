"""The page: one file, its styles, plots and images inside it, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.cells.scenarios import SCENARIOS
from reports.answers import answers
from reports.formats import Absent
from reports.page import answers as answers_
from reports.page import header, provenance, summary
from reports.page.provenance import Item
from reports.plots import samples, style
from reports.plots.plot import Drawn, Plot
from reports.run.missing import Missing, command, missing
from reports.run.read import Run
from reports.tables.table import Table, letter, shown
from reports.words import ladder, measurement

UNBROKEN = re.compile(r"\[[^\[\]<>]{1,40}\]|[\d.]+e-\d+")
OF_NETWORK = tuple(one.name for one in SCENARIOS.values() if one.of == "network")


@dataclass(frozen=True)
class SectionPlan:
    """A part of the page: its title, the names of its tables and figures in order, what it would need."""

    key: str
    title: str
    names: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """The ends of the names of those parts of a run."""
    always: bool = False
    """It stands even without tables and figures: it has parts of its own."""


SECTIONS = (
    SectionPlan(
        "accuracy",
        "Accuracy by epoch",
        (
            *("headline", "training_ap", "training_loss", "loss_against_ap", "epoch_time", "learning_rate"),
            *("per_epoch_map", "seeds", "training", "test", "literature"),
        ),
        ("training", "test part"),
    ),
    SectionPlan(
        "runtimes",
        "Runtimes",
        (
            *("runtime_overview", "comparisons", "latency_distribution", *OF_NETWORK, "pipeline_parts"),
            *("train_parts", "ap_against_latency", "roofline", "startup", "runtime_comparison"),
        ),
        ("bench",),
    ),
    SectionPlan("precision", "What each precision costs", ("accuracies",)),
    SectionPlan("network", "The network", ("network",)),
    SectionPlan("parity", "Parity", ("parity_errors", "parity", "certificates"), ("parity",)),
    SectionPlan("conversion", "Conversion", ("conversion",), ("conversion",)),
    SectionPlan("people", "People", ("people",), ("sample images",), always=True),
    SectionPlan(
        "method", "Method and machine", ("measurement", "conditions", "mlperf", "stages"), always=True
    ),
    SectionPlan("failures", "What failed", ("failures",), always=True),
)
"""What was found, then how: in the order of the page."""


@dataclass(frozen=True)
class PageSection:
    """A part of the page: what belongs to it, in order, or which parts of the run it would need."""

    key: str
    title: str
    items: tuple[Table | Drawn, ...]
    absent: tuple[Missing, ...] = ()

    @property
    def made(self) -> tuple[Item, ...]:
        """Return the items as what their provenance is told of."""
        return tuple(item if isinstance(item, Table) else item.plot for item in self.items)


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
        "unbroken": unbroken,
        "sample_says": samples.says,
        "hidden": samples.HIDDEN,
    }
    return found


def inline(drawn: Drawn) -> Markup:
    """Return a plot as an element of the page; its texts are escaped by matplotlib and by style.inline."""
    plot = drawn.plot
    return Markup(style.inline(drawn.svg, plot.name, plot.title, plot.description))


def unbroken(text: str) -> Markup:
    """Return escaped text in which no interval, and no number such as 4.4e-14, breaks across lines."""
    return Markup(UNBROKEN.sub(r'<span class="whole">\g<0></span>', str(escape(text))))


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
    gone = missing(run)
    found = []
    for plan in SECTIONS:
        items = tuple(item for name in plan.names for item in by_name.get(name, ()))
        absent = tuple(m for m in gone if m.part.endswith(plan.needs))
        if items or absent or plan.always:
            found.append(PageSection(plan.key, plan.title, items, absent))
    return found


def render(run: Run, tables: Sequence[Table], plots: Sequence[Drawn]) -> str:
    """Return the page of a run."""
    names = {table.name for table in tables}, {drawn.plot.name for drawn in plots}
    by_name = {drawn.plot.name: drawn for drawn in plots}
    glance, people = by_name.get("at_a_glance"), by_name.get("samples")
    parts = sections(run, tables, plots)
    # Two figures are drawn apart from their sections: one above all of them, one of photographs.
    beside = {"runtimes": glance, "people": people}
    made = {part.key: [*_plots(beside.get(part.key)), *part.made] for part in parts}
    numbers = provenance.numbers((*_plots(glance), *chain.from_iterable(made.values())))
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            title=run.name,
            subject=header.subject(run),
            version=header.version(run),
            started=header.started(run),
            header=header.header(run),
            answers=[(one, *answers_.evidence(one, *names)) for one in answers(run)],
            glance=glance,
            numbers=numbers,
            made={key: provenance.made_by(of, numbers) for key, of in made.items()},
            verdict=ladder.verdict(run.parity),
            verdict_status=run.parity.status if run.parity else "absent",
            measured=measurement.verdict(run),
            summary=summary.sentences(run),
            sections=parts,
            samples=[
                (sample, samples.data_uri(run, sample), samples.panels(sample)) for sample in run.samples
            ],
            samples_plot=people.plot if people else None,
            whole=command(run, "run"),
            made_by=command(run, "report"),
            light=Markup(style.variables(0)),
            dark=Markup(style.variables(1)),
        )
    )


def _plots(drawn: Drawn | None) -> list[Plot]:
    return [drawn.plot] if drawn else []
