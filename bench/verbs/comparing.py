"""What compares: the twins rung by rung, two runs cell by cell, a table with the stored one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from bench import compare as compare_
from bench import compare_text, console, machine, parity, proving, sides, stages
from bench import reproduce as reproduce_
from bench.rundir import RunFolder
from bench.verbs.exits import CHECK_FAILED
from bench.verbs.runs import build_report
from pose import recipe as recipes


def parity_of_run(
    made: RunFolder, rungs: tuple[int, ...], matrix_name: str | None, device: str | None, as_json: bool
) -> int:
    """Climb the parity ladder for a run's trained twins and renew its report; 1 when a rung failed."""
    with made.stage("parity", f"twinpose parity {shlex.quote(str(made.path))}"):
        found = stages.prove(made, rungs, matrix_name, device)
    build_report(made.path)
    return _say_parity(found, made.path, as_json)


def parity_of_recipe(
    name: str,
    overrides: list[str] | None,
    out: Path | None,
    rungs: tuple[int, ...],
    coco: Path | None,
    given: Path | None,
    threads: int | None,
    device: str | None,
    as_json: bool,
) -> int:
    """Climb the parity ladder for a recipe's network, with given or generic weights; 1 when a rung failed.

    It writes into `out`, by default runs/parity-NAME.
    """
    recipe = recipes.load(name, overrides)
    numbers = None if rungs == parity.ALL else ",".join(map(str, rungs))
    flags: list[tuple[str, object]] = [("--recipe", name), *(("--set", value) for value in overrides or [])]
    flags += [("--weights", given), ("--coco", coco), ("--rungs", numbers), ("--threads", threads)]
    flags += [("--device", device)]
    words = [word for key, value in (*flags, ("--out", out)) if value is not None for word in (key, value)]
    out = out or Path("runs") / f"parity-{recipe.name}"
    found = proving.recipe(
        recipe,
        out,
        proving.Wanted(rungs, shlex.join(["twinpose", "parity", *map(str, words)])),
        coco=coco,
        given=given,
        threads=threads or machine.usable_cores(),
        device=device or "cpu",
        make_data=stages.make_data,
    )
    return _say_parity(found, out, as_json)


def _say_parity(found: dict[str, Any], folder: Path, as_json: bool) -> int:
    counts = [r["status"] for r in found["rungs"]]
    text = f"{found['status']}: {counts.count('pass')} rungs passed, {counts.count('fail')} failed"
    console.facts(found, as_json, f"{text} -> {folder / 'parity.md'}")
    return CHECK_FAILED if found["status"] == "fail" else 0


def compare(a: Path, b: Path, fail_over: str, only: str | None, across_machines: bool, as_json: bool) -> int:
    """Print what differs between two runs or two benchmark files; return the exit code."""
    share = compare_.parse_share(fail_over)
    found = compare_.compare(sides.read(a), sides.read(b), only=only, fail_over=share)
    console.facts(found.to_dict(across_machines), as_json, compare_text.text(found, across_machines))
    return found.exit_code(across_machines)


def reproduce(table: str | None, run: Path | None, as_json: bool) -> int:
    """Print a table's command, its cost and, where it has run, the difference; 1 when out of bounds."""
    if table is None:
        known = reproduce_.tables()
        console.facts([t.name for t in known], as_json, "\n".join(f"{t.name:28s} {t.title}" for t in known))
        return 0
    found = reproduce_.compare(reproduce_.find(table), run)
    console.facts(found.to_dict(), as_json, found.text())
    return 0 if found.agrees is not False else 1
