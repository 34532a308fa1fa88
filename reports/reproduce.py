"""The command behind a stored table, its cost, and how a fresh run differs from it."""

from __future__ import annotations

import csv
import io
import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bench.console import aligned
from bench.run import trainings
from pose import strict_yaml
from pose.errors import UserError
from pose.files import read_bytes
from pose.recipe import find as find_yaml
from pose.recipe import shipped


class StoredTable(BaseModel):
    """A table as it was once measured or published (configs/tables/NAME.yaml)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    """`measured` by this project, or where it was published."""
    command: str
    cost: str
    run: str
    """The folder that the command writes."""
    file: str
    """The run's table, relative to the run folder."""
    key: str
    """The column that names a row."""
    tolerance: float
    """The largest difference, in any number of `columns`, that counts as reproduced."""
    columns: list[str]
    rows: list[dict[str, Any]]


class Reproduction(BaseModel):
    """A stored table beside a fresh one; `agrees` is None when there is no fresh one."""

    table: StoredTable
    fresh: str | None
    differences: list[dict[str, Any]]
    agrees: bool | None
    further: list[str] = []
    """The run folders of the run's further seeds: compared is the table of the first."""

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-able values."""
        return self.model_dump(mode="json")

    def text(self) -> str:
        """Return the comparison for people."""
        table = self.table
        lines = [
            table.title,
            f"source:  {table.source}",
            f"command: {table.command}",
            f"cost:    {table.cost}",
        ]
        if self.agrees is None:
            return "\n".join([*lines, *self._rows(table.rows, "{:.4f}"), f"not run yet: no {self.fresh}"])
        verdict = "reproduced" if self.agrees else "NOT reproduced"
        lines += self._rows(self.differences, "{:+.4f}")
        lines.append(f"{verdict} within {table.tolerance} ({self.fresh}); figures are fresh minus stored")
        return "\n".join([*lines, *self._seeds()])

    def _seeds(self) -> list[str]:
        """Return how the table of each further seed is compared."""
        if not self.further:
            return []
        each = [
            f"  twinpose report {run} && twinpose reproduce {self.table.name} --run {run}"
            for run in map(shlex.quote, self.further)
        ]
        return ["compared is the first seed; each further one is a run of its own:", *each]

    def _rows(self, rows: list[dict[str, Any]], number: str) -> list[str]:
        names = [self.table.key, *self.table.columns]
        return aligned([names, *([_cell(row.get(name), number) for name in names] for row in rows)], left=())


def _cell(value: Any, number: str) -> str:
    return "-" if value is None else number.format(value) if isinstance(value, float) else str(value)


def tables() -> list[StoredTable]:
    """Return every stored table."""
    return [find(name) for name in shipped("tables")]


def find(name: str) -> StoredTable:
    """Return the stored table called `name`; UserError with the nearest name otherwise."""
    return StoredTable.model_validate(strict_yaml.read(find_yaml(name, "tables"), "a stored table"))


def compare_with_run(table: StoredTable, run: Path | None) -> Reproduction:
    """Return the table beside that of `run`, or of the command's own run folder."""
    path = (run or Path(table.run)) / table.file
    if not path.exists():
        if run is not None:
            make = f"twinpose report {shlex.quote(str(run))}"
            raise UserError(f"no {path}; expected the report of a run; make it with '{make}'")
        return Reproduction(table=table, fresh=str(path), differences=[], agrees=None)
    fresh = {row[table.key]: row for row in csv.DictReader(io.StringIO(read_bytes(path, "a table").decode()))}
    differences = [_difference(table, row, fresh.get(str(row[table.key]), {})) for row in table.rows]
    found = [d[c] for d in differences for c in table.columns]
    agrees = all(value is not None and abs(value) <= table.tolerance for value in found)
    further = [str(one) for one in trainings.begun(run or Path(table.run)).values()]
    return Reproduction(table=table, fresh=str(path), differences=differences, agrees=agrees, further=further)


def _difference(table: StoredTable, stored: dict[str, Any], fresh: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {table.key: stored[table.key]}
    for column in table.columns:
        was, now = stored.get(column), fresh.get(column)
        row[column] = float(now) - float(was) if was is not None and now not in (None, "", "—") else None
    return row
