"""The tables of several runs: what each is, and their cells' figures in a column a run."""

from __future__ import annotations

from collections.abc import Mapping

from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS
from bench.run.results import CellResult
from bench.verdicts.noise_floor import difference
from reports.answers.ranking import figure
from reports.formats import Absent, Noted, Value, milliseconds, minute, or_absent, per_second, score
from reports.run.read import Run
from reports.tables.table import Column, Row, Table
from reports.words import cells as cells_
from reports.words import certification, measurement
from reports.words.cells import value

COMMAND = "twinpose report RUN RUN --out DIR"


def runs(found: Mapping[str, Run], machines: Mapping[str, str]) -> Table:
    """Return a row for each run: recipe, machine, when, and how far its bench sees."""
    return Table(
        name="runs",
        title="The runs",
        columns=(
            Column("run", "Run"),
            Column("recipe", "Recipe"),
            Column("started", "Started"),
            Column("version", "TwinPose"),
            Column("noise", "Bench", kind="status"),
            Column("resolution", "Sees from"),
            Column("machine", "Machine"),
        ),
        rows=tuple(Row((label, *_facts(run), machines[label])) for label, run in found.items()),
        note="Machines are told apart by processor, instruction sets, usable cores, GPUs and architecture.",
        command=COMMAND,
        source="run.json and bench/bench.json of each",
    )


def _facts(run: Run) -> tuple[Value, ...]:
    none = Absent("nothing was measured against itself", quiet=True)
    seen = measurement.noise(run).resolution
    return (
        run.name,
        or_absent(minute(run.facts.get("started")), "not recorded"),
        or_absent(run.facts.get("twinpose"), "not recorded"),
        measurement.noise_verdict(run) or none,
        none if seen is None else difference(seen),
    )


def cells(found: Mapping[str, Run], place: int) -> Table | None:
    """Return a row for each cell of any of one machine's runs, a column a run; None without cells."""
    by_run = {label: {one.id: one for one in run.cells} for label, run in found.items()}
    axes: dict[str, Cell] = {one.id: one.axes for of in by_run.values() for one in of.values()}
    ordered = sorted(
        (one for one in axes.values() if not one.replica),
        key=lambda one: (*cells_.full_lane_key(one), *cells_.order(one)),
    )
    if not ordered:
        return None
    return Table(
        name=f"cells_{place}",
        title="Cells, run by run",
        columns=(
            Column("name", "Cell"),
            *(Column(label, label, kind="number") for label in found),
            Column("id", "id", only_csv=True),
        ),
        rows=tuple(
            Row(
                (
                    cells_.name(one),
                    *(_said(found[label], of.get(one.id)) for label, of in by_run.items()),
                    one.id,
                ),
                cells_.heading(one.lane),
            )
            for one in ordered
        ),
        note="Each figure with its 95 % interval over rounds; AP of accuracy cells.",
        command=COMMAND,
        source="bench/cells/*.json of each run",
        grouped_by="Lane",
    )


def _said(run: Run, result: CellResult | None) -> Value:
    """Return a cell's figure and interval as people read them, marked where it is doubtful or has none."""
    if result is None:
        return Absent("not in this run", quiet=True)
    if result.status != "ok":
        return cells_.failed(result)
    asked = SCENARIOS[result.axes.scenario]
    if not asked.timed:
        ap = cells_.ap(result, run.cells)
        return ap if isinstance(ap, Absent) else score(float(str(ap)))
    if value(result) is None:
        return Absent("no round is measured")
    ends = cells_.interval(result)
    show = milliseconds if asked.less_is_faster else per_second
    said = figure(result) + ("" if isinstance(ends, str) else f" [{show(ends[0])}, {show(ends[1])}]")
    doubts = [*result.validity.reasons, *filter(None, [certification.doubt(run, result)])]
    return Noted(said, tuple(doubts)) if doubts else said
