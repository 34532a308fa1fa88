"""The verb that proves the twins equal: a run's, or a recipe's network by itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bench import console
from bench.machine import fingerprint
from bench.parity import climb, document
from bench.parity.certificate import Parity
from bench.parity.ladder import ALL, QUICK
from bench.run import folder as folder_
from bench.stages import proof
from pose.errors import UserError
from reports import build
from reports.page import ladder
from twinpose.exits import CHECK_FAILED
from twinpose.options import AsJson, Coco, DeviceName, Set, Threads, recipe_for


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
) -> int:
    """Prove the twins equal, rung by rung, and write the certificate; exits 1 when a rung failed."""
    wanted = parse_rungs(rungs, quick=quick)
    if run is not None:
        if any(option is not None for option in (recipe, weights, out, threads, set_)):
            raise UserError("a RUN has its recipe and weights; give it without --recipe and the others")
        return _tell(*_climb_run(run, coco, wanted, matrix, device), as_json)
    if matrix is not None:
        raise UserError("--matrix goes with a RUN: it names what is measured there")
    if recipe is None:
        raise UserError("parity needs a RUN or --recipe NAME; nothing was climbed")
    resolved = recipe_for(recipe, set_, weights)
    asked = climb.ClimbRequest(wanted, _command(recipe, set_, weights, coco, wanted, threads, device, out))
    out = out or Path("runs") / f"parity-{resolved.name}"
    found = climb.recipe(
        resolved,
        out,
        asked,
        coco=coco,
        given=weights,
        threads=threads or fingerprint.usable_cores(),
        device=device or "cpu",
    )
    return _tell(found, ladder.write(out), as_json)


def parse_rungs(text: str | None, *, quick: bool) -> tuple[int, ...]:
    """Return the rungs that "2,3,5" names; all of them by default, the quick ones with `quick`."""
    if text is None:
        return QUICK if quick else ALL
    if quick:
        raise UserError("--rungs and --quick were both given; expected one of them")
    known = {str(number): number for number in ALL}
    wanted = [part.strip() for part in text.split(",")]
    for part in wanted:
        if part not in known:
            raise UserError(
                f"--rungs {text!r}: '{part}' is no rung; expected numbers from 1 to {ALL[-1]}, such as 2,3,4"
            )
    return tuple(sorted({known[part] for part in wanted}))


def _climb_run(
    path: Path, coco: Path | None, rungs: tuple[int, ...], matrix: str | None, device: str | None
) -> tuple[Parity, Path]:
    """Return the certificate of a run's trained twins and its report, made anew."""
    with folder_.locked(path):
        made = folder_.opened(path, coco)
        with made.stage("parity", f"twinpose parity {made.quoted}"):
            found = proof.prove(made, rungs, matrix, device)
        return found, build.build(path)


def _command(
    recipe: str,
    overrides: list[str] | None,
    weights: Path | None,
    coco: Path | None,
    rungs: tuple[int, ...],
    threads: int | None,
    device: str | None,
    out: Path | None,
) -> str:
    """Return the command that climbs the same again."""
    numbers = None if rungs == ALL else ",".join(map(str, rungs))
    flags: list[tuple[str, object]] = [("--recipe", recipe), *(("--set", value) for value in overrides or [])]
    flags += [("--weights", weights), ("--coco", coco), ("--rungs", numbers), ("--threads", threads)]
    flags += [("--device", device), ("--out", out)]
    words = [str(word) for key, value in flags if value is not None for word in (key, value)]
    return shlex.join(["twinpose", "parity", *words])


def _tell(found: Parity, page: Path, as_json: bool) -> int:
    """Print what a climb found; 1 when a rung failed."""
    counts = [rung.status for rung in found.rungs]
    text = f"{found.status}: {counts.count('pass')} rungs passed, {counts.count('fail')} failed"
    console.facts(document.as_json(found), as_json, f"{text} -> {page}")
    return CHECK_FAILED if found.status == "fail" else 0
