"""Verbs that compare: two runs cell by cell, a table with the stored one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bench import console
from bench.compare import floors, rows, sides, text
from bench.compare.records import FLOOR_MISSED
from pose.errors import UserError
from reports import reproduce as reproduce_
from twinpose.exits import CHECK_FAILED
from twinpose.options import AsJson


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run, or a file of pytest's --benchmark-json.")],
    b: Annotated[
        Path | None,
        typer.Argument(
            metavar="[B]", help="Another of the same kind, measured later; none: A's floors alone."
        ),
    ] = None,
    fail_over: Annotated[
        str, typer.Option(metavar="SHARE", help="How much slower is still fine, such as 5%.")
    ] = "0%",
    only: Annotated[str | None, typer.Option("-k", help="Which cells, such as 'torch and cpu'.")] = None,
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Judge although the machines differ.")
    ] = False,
    min_ap: Annotated[
        float | None, typer.Option(floors.MIN_AP, metavar="AP", help="The least AP of an accuracy cell.")
    ] = None,
    max_ms: Annotated[
        float | None,
        typer.Option(floors.MAX_MS, metavar="MS", help="The longest time of a latency or pipeline."),
    ] = None,
    min_images_per_s: Annotated[
        float | None, typer.Option(floors.MIN_IMAGES_PER_S, metavar="RATE", help="The least throughput.")
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a job's summary or a pull request.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Compare two runs cell by cell, or hold the last one given against floors.

    Exits 1 where a floor is missed, 4 where a cell regressed, 5 where B has nothing like one of A, and 6 on
    another machine.
    """
    if as_json and as_markdown:
        raise UserError("--json and --markdown were both given; expected one of them")
    given = {floors.MIN_AP: min_ap, floors.MAX_MS: max_ms, floors.MIN_IMAGES_PER_S: min_images_per_s}
    limits = {option: limit for option, limit in given.items() if limit is not None}
    share = rows.parse_share(fail_over)
    if b is None:
        if share or across_machines:
            raise UserError(f"--fail-over and --across-machines are for two runs; {a} alone was given")
        return _hold_against_floors(a, limits, only, as_markdown, as_json)
    found = rows.compare_sides(sides.read(a), sides.read(b), only=only, fail_over=share, limits=limits)
    said = (text.markdown if as_markdown else text.text)(found, across_machines)
    console.facts(found.to_dict(across_machines), as_json, said)
    return found.exit_code(across_machines)


def _hold_against_floors(
    run: Path, limits: Mapping[str, float], only: str | None, as_markdown: bool, as_json: bool
) -> int:
    """Print which cells of one run are under a floor; return the exit code."""
    if not limits:
        raise UserError(
            f"{run} alone was given; expected a second run, or a floor such as {floors.MAX_MS} 30"
        )
    side = sides.read(run)
    checks = floors.check(side, limits, rows.selected([side], only))
    code = FLOOR_MISSED if floors.missed(checks) else 0
    facts = {"run": side.name, "floors": msgspec.to_builtins(checks), "exit_code": code}
    console.facts(facts, as_json, text.of_floors(side.name, checks, as_markdown))
    return code


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
