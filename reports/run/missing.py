"""Which parts of a run are there, which are not, and the commands that make them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bench.cells.cell import TWINS
from reports.formats import TWIN_NAMES
from reports.run.read import Run

VERBS = {
    "train": "train",
    "test": "eval",
    "convert": "convert",
    "parity": "parity",
    "bench": "bench",
    "samples": "report",
    "report": "report",
}
"""Stage -> the verb that does it alone on a run folder."""


@dataclass(frozen=True)
class Missing:
    """A part that is not in the run, or not complete."""

    part: str
    reason: str
    command: str
    """What makes it."""
    status: str = "absent"
    """`absent` or `unfinished`."""


def command(run: Run, stage: str, twin: str | None = None) -> str:
    """Return the command of a stage as the run stored it, or the one that would make it."""
    stored = (run.facts.get("stages") or {}).get(f"{stage} {twin}" if twin else stage)
    if isinstance(stored, dict) and isinstance(stored.get("command"), str):
        return str(stored["command"])
    if verb := VERBS.get(stage):
        return f"twinpose {verb} {shlex.quote(str(run.path))}" + (f" --twin {twin}" if twin else "")
    whole = run.facts.get("command")
    again = f"twinpose run --recipe {shlex.quote(run.name)} --out {shlex.quote(str(run.path))}"
    return str(whole) if whole else again


def missing(run: Run) -> list[Missing]:
    """Return what is absent or unfinished, in the order in which a run makes it."""
    return [
        *_absent(run.recipe, "recipe", "recipe.yaml", command(run, "run")),
        *_absent(run.split, "split", "split.json", command(run, "split")),
        *(found for twin in TWINS if (found := _training(run, twin))),
        *_further(run),
        *_test(run),
        *(found for twin in TWINS for found in _conversion(run, twin)),
        *_absent(run.parity, "parity", "parity.json", command(run, "parity")),
        *_bench(run),
        *_absent(run.samples, "sample images", "samples/samples.json", command(run, "samples")),
    ]


def _absent(there: object, part: str, file: str, make: str) -> list[Missing]:
    return [] if there else [Missing(part, f"the run has no {file}", make)]


def _conversion(run: Run, twin: str) -> list[Missing]:
    name, file = f"{TWIN_NAMES[twin]} conversion", f"artifacts/{twin}/conversion.json"
    return _absent(twin in run.conversions, name, file, command(run, "convert", twin))


def _training(run: Run, twin: str) -> Missing | None:
    name, make = f"{TWIN_NAMES[twin]} training", command(run, "train", twin)
    training = run.training.get(twin)
    if twin in run.imported:
        return None
    if training is None:
        return Missing(name, f"the run has no train/{twin}/epochs.jsonl", make)
    if not training.summary:
        asked = f" of {run.recipe.training.epochs}" if run.recipe else ""
        done = f"it stands at epoch {training.epochs[-1].epoch}{asked}"
        return Missing(name, done, make, "unfinished")
    return None


def _further(run: Run) -> list[Missing]:
    """Return which trainings of further seeds have not ended, of those that the run was asked for."""
    first, make = next(iter(run.by_seed)), command(run, "run")
    return [
        Missing(f"seed {seed} {TWIN_NAMES[twin]} training", "it has not ended", make, "unfinished")
        for seed in range(first + 1, first + int(run.facts.get("seeds", 1)))
        for twin in TWINS
        if (left := run.further.get(seed, {}).get(twin)) is None or not left.summary
    ]


def no_test(run: Run, twin: str) -> str | None:
    """Return why a twin has no score on the test part, or None when it has one."""
    if run.test is None:
        return "the test part is not scored yet"
    if run.test.split is None:
        return run.test.reason or "the split has no test part"
    return None if twin in run.test.twins else f"test.json has no score of {TWIN_NAMES[twin]}"


def _test(run: Run) -> list[Missing]:
    if run.test is not None and run.test.split is None:
        return []
    reasons = dict.fromkeys(reason for twin in TWINS if (reason := no_test(run, twin)))
    return [Missing("test part", reason, command(run, "test")) for reason in reasons]


def _bench(run: Run) -> list[Missing]:
    if not run.cells and not run.bench:
        unplanned = run.recipe is not None and run.recipe.matrix is None
        reason = "the recipe names no matrix" if unplanned else "the run has no measured cell"
        return [Missing("bench", reason, command(run, "bench"))]
    if waiting := unmeasured(run):
        first = (
            f"{len(waiting)} of {len(planned(run))} cells of the matrix are not measured yet: {waiting[0]}"
        )
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        return [Missing("bench", first + more, command(run, "bench"), "unfinished")]
    return []


def planned(run: Run) -> list[str]:
    """Return the IDs of the cells in the matrix that was last asked for."""
    return run.bench.matrix.cells if run.bench else []


def unmeasured(run: Run) -> list[str]:
    """Return the IDs of the matrix's cells that have no result."""
    done = {cell.id for cell in run.cells}
    return [cell for cell in planned(run) if cell not in done]
