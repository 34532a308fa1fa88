"""Several runs side by side, those of different machines apart: their times do not compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from bench.machine.identity import IDENTITY, machine_of_run
from bench.statistics.samples import counted
from reports.answers import answers
from reports.answers.answer import listed
from reports.page import provenance
from reports.page.html import environment
from reports.plots import style
from reports.run.read import Run
from reports.tables.several import COMMAND, cells, runs
from reports.tables.table import Column, Row, Table


@dataclass(frozen=True)
class MachineRuns:
    """The runs of one machine, by their labels."""

    name: str
    runs: dict[str, Run]


def by_machine(found: dict[str, Run]) -> list[MachineRuns]:
    """Return the runs by the machine that made them, in the order in which the machines first come."""
    groups: dict[tuple[Any, ...], dict[str, Run]] = {}
    for label, run in found.items():
        machine, _ = machine_of_run(run.facts.get("machine") or {})
        groups.setdefault(tuple(machine[fact] for fact in IDENTITY), {})[label] = run
    return [MachineRuns(_named(next(iter(group.values()))), group) for group in groups.values()]


def _named(run: Run) -> str:
    machine, _ = machine_of_run(run.facts.get("machine") or {})
    cores = machine["usable cores"]
    where = f"{machine['CPU'] or 'a machine that is not recorded'}"
    gpus = "" if machine["GPUs"] in {None, "none"} else f", {machine['GPUs']}"
    return (f"{counted(cores, 'core', 'cores')} of {where}" if cores else where) + gpus


def labels(found: Sequence[Run]) -> dict[str, Run]:
    """Return the runs by short labels: the folders' names, or whole paths where two share one."""
    names = [run.path.name for run in found]
    return {run.path.name if names.count(run.path.name) == 1 else str(run.path): run for run in found}


def all_tables(found: dict[str, Run]) -> list[tuple[str, list[Table]]]:
    """Return by machine the table of answers and, where something was timed, that of cells."""
    machines = []
    for place, machine in enumerate(by_machine(found), 1):
        tables = [_answers(machine.runs, place), cells(machine.runs, place)]
        machines.append((machine.name, [table for table in tables if table]))
    return machines


def _answers(found: dict[str, Run], place: int) -> Table:
    said = {label: answers(run) for label, run in found.items()}
    questions = [one.question for one in next(iter(said.values()))]
    rows = [
        Row((question, *(texts[number].text for texts in said.values())))
        for number, question in enumerate(questions)
    ]
    return Table(
        name=f"answers_{place}",
        title="Answers",
        columns=(Column("question", "Question"), *(Column(label, label) for label in said)),
        rows=tuple(rows),
        note="What each run says by itself.",
        command=COMMAND,
        source="the runs' own reports",
    )


def differ(found: dict[str, Run]) -> list[str]:
    """Return a sentence for each fact that decides an AP or a time and is not the same in all runs."""
    facts: dict[str, dict[str, str]] = {
        "recipe": {label: run.name for label, run in found.items()},
        "split": {label: run.split.sha256[:12] if run.split else "none" for label, run in found.items()},
        "boxes": {label: run.boxes for label, run in found.items()},
    }
    for package in ("twinpose", "tensorflow", "torch", "onnxruntime", "openvino"):
        facts[package] = {label: _version(run, package) for label, run in found.items()}
    said = []
    for fact, by_label in facts.items():
        if len(set(by_label.values())) > 1:
            which = listed(f"{value} in {label}" for label, value in by_label.items())
            said.append(f"The runs differ in {fact}: {which}.")
    return said


def _version(run: Run, package: str) -> str:
    packages = (run.facts.get("machine") or {}).get("packages") or {}
    return str(packages.get(package) or "none")


def render(found: dict[str, Run], tables: Sequence[tuple[str, list[Table]]], made_by: str) -> str:
    """Return the page of several runs."""
    machines = [{"name": name, "tables": of} for name, of in tables]
    shown = [runs_table(found), *(table for _, of in tables for table in of)]
    numbers = provenance.numbers(shown)
    apart = f"These runs are of {len(machines)} machines." if len(machines) > 1 else ""
    return (
        environment()
        .get_template("several.html.j2")
        .render(
            title=counted(len(found), "run", "runs") + " side by side",
            subject=listed(found),
            apart=apart,
            differ=differ(found),
            runs=shown[0],
            numbers=numbers,
            made=provenance.made_by(shown, numbers),
            machines=machines,
            made_by=made_by,
            light=Markup(style.variables(0)),
            dark=Markup(style.variables(1)),
        )
    )


def runs_table(found: dict[str, Run]) -> Table:
    """Return the table of the runs with the machine of each."""
    return runs(found, {label: machine.name for machine in by_machine(found) for label in machine.runs})
