"""Verbs that compare: the twins, two runs, a table with the stored one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import proving, rundir
from bench.cli.options import AsJson, Coco, DeviceName, Set, Threads
from bench.verbs import comparing
from pose.errors import UserError


def parity(
    run: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Certify this run's twins.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Climb for a recipe's network, untrained.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="With --recipe: canonical weights (.safetensors) to climb with.")
    ] = None,
    coco: Coco = None,
    rungs: Annotated[str | None, typer.Option(help="Which rungs, such as 2,3,4; default all.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="All rungs but 6, the trajectory.")] = False,
    matrix: Annotated[
        str | None, typer.Option(help="With a RUN: whose modes and precisions; default the recipe's matrix.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --recipe: where to write; default runs/parity-NAME.")
    ] = None,
    device: DeviceName = None,
    threads: Threads = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Prove the twins equal, rung by rung, and write the certificate; exits 1 when a rung failed."""
    wanted, on = proving.parse_rungs(rungs, quick=quick), device and device.value
    if run is not None:
        if any(option is not None for option in (recipe, weights, out, threads, set_)):
            raise UserError("a RUN has its recipe and weights; give it without --recipe and the others")
        with rundir.locked(run):
            raise typer.Exit(comparing.parity_of_run(rundir.opened(run, coco), wanted, matrix, on, as_json))
    if matrix is not None:
        raise UserError("--matrix goes with a RUN: it names what is measured there")
    if recipe is None:
        raise UserError("parity needs a RUN or --recipe NAME; nothing was climbed")
    code = comparing.parity_of_recipe(recipe, set_, out, wanted, coco, weights, threads, on, as_json)
    raise typer.Exit(code)


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
) -> None:
    """Compare two runs cell by cell; exits 4 where one regressed, 5 where one is missing, 6 elsewhere."""
    raise typer.Exit(comparing.compare(a, b, fail_over, only, across_machines, as_json))


def reproduce(
    table: Annotated[str | None, typer.Argument(help="A stored table; without one they are listed.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="The run to compare; default the command's own folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the command behind a table and its cost; once it has run, the difference from the stored one."""
    raise typer.Exit(comparing.reproduce(table, run, as_json))
