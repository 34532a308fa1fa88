"""Verbs that compare: two runs cell by cell, a table with the stored one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import console
from bench.compare import rows, sides, text
from reports import reproduce as reproduce_
from twinpose.exits import CHECK_FAILED
from twinpose.options import AsJson


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run, or a file of pytest's --benchmark-json.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another of the same kind, measured later.")],
    fail_over: Annotated[
        str, typer.Option(metavar="SHARE", help="How much slower is still fine, such as 5%.")
    ] = "0%",
    only: Annotated[str | None, typer.Option("-k", help="Which cells, such as 'torch and cpu'.")] = None,
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Judge although the machines differ.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Compare two runs cell by cell.

    Exits 4 where one regressed, 5 where B has nothing comparable to one, 6 on another machine.
    """
    share = rows.parse_share(fail_over)
    found = rows.compare_sides(sides.read(a), sides.read(b), only=only, fail_over=share)
    console.facts(found.to_dict(across_machines), as_json, text.text(found, across_machines))
    return found.exit_code(across_machines)


def reproduce(
    table: Annotated[str | None, typer.Argument(help="A stored table; without one they are listed.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="The run to compare; default the command's own folder.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Print the command behind a table and its cost; once it has run, the difference from the stored one."""
    if table is None:
        known = reproduce_.tables()
        lines = console.aligned(((one.name, one.title) for one in known), left=(0, 1))
        console.facts([one.name for one in known], as_json, "\n".join(lines))
        return 0
    found = reproduce_.compare_with_run(reproduce_.find(table), run)
    console.facts(found.to_dict(), as_json, found.text())
    return CHECK_FAILED if found.agrees is False else 0
