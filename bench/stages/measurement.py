"""The stages that a matrix decides: the proof of what it measures, and the measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench import console
from bench.cells import matrix
from bench.cells.scenarios import SCENARIOS
from bench.rounds import session
from bench.rounds.plan import BESIDE, LACKS, OPEN
from bench.rounds.repeats import IN_VAIN, NEVER_QUIET, NO_ROOM, NO_TIME_LEFT
from bench.rounds.session import BenchRequest, BenchResult
from bench.run import bench_file
from bench.run.folder import RunFolder
from bench.statistics.samples import counted
from pose.errors import UserError

OWN = "matrix"
"""What is asked for as a profile to have the matrix's own protocol again."""


def load_matrix(
    run: RunFolder,
    name: str | None,
    device: str | None = None,
    profile: str | None = None,
    tries: int | None = None,
) -> matrix.Matrix:
    """Return a matrix (the recipe's unless named), on a device (the run's unless named) and by a profile.

    `matrix` for a profile is the matrix's own. Without one it is what was last given for that matrix in
    this run, or else its own. tries: of a disturbed round, for this bench; None for the protocol's.
    """
    wanted = name or run.recipe.matrix
    if wanted is None:
        raise UserError(f"recipe '{run.recipe.name}' names no matrix; give one with --matrix")
    loaded = matrix.on_device(matrix.load(wanted), device or run.settings.device)
    if profile is None and (benched := bench_file.read(run.path)):
        profile = benched.profiles_asked.get(loaded.name)
    profile = None if profile == OWN else profile
    loaded = matrix.with_profile(loaded, profile) if profile else loaded
    loaded = matrix.with_tries(loaded, tries) if tries else loaded
    said = {"--matrix": name, "--device": device, "--profile": profile, "--tries": tries and str(tries)}
    options = [part for option, value in said.items() if value for part in (option, value)]
    return replace(loaded, options=tuple(options))


def bench(run: RunFolder, chosen: matrix.Matrix, request: BenchRequest) -> BenchResult:
    """Measure the cells of a matrix that `request` selects; return what the bench leaves."""

    console.say(f"matrix {chosen.name} by profile {chosen.protocol.profile}")

    def on_event(event: str, fields: dict[str, Any]) -> None:
        if event == "put_aside":
            console.say(_put_aside(fields["profiles"]))
        if event == "stage":
            console.say(f"measuring {fields['what']}")
        if event == "pass_started":
            console.say(_pass_text(fields))
        if event == "waited":
            console.say(f"  {_waited_text(fields)}")
        if event in ONCE:
            console.say(ONCE[event])
        if event == "round_finished":
            console.say(f"  {round_text(fields)}")
        if event == "cell_finished" and (fields["skipped"] or fields["status"] == "uncertified"):
            mark = "kept" if fields["skipped"] else fields["status"]
            reason = f"  {fields['reason']}" if fields["reason"] else ""
            console.say(f"[{fields['number']}/{fields['count']}] {fields['id']}  {mark}{reason}")

    return session.run(run, chosen, request, on_event)


ONCE = {
    NO_ROOM: "waits and repeats have taken as long as the rounds themselves: where no room is left for them, "
    "a disturbed round is used as it is, flagged",
    NO_TIME_LEFT: "a round's time limit left no room for another try: a disturbed round is used as it is, "
    "flagged; --timeout gives more",
    NEVER_QUIET: f"{IN_VAIN} rounds in succession stayed disturbed: this machine is hardly ever quiet; "
    "waits get shorter, and the least disturbed try of a round counts, flagged",
}
"""What is told once in a bench about what others do."""


def _put_aside(profiles: Mapping[str, int]) -> str:
    """Return what became of rounds that were measured otherwise than is asked for now."""
    found = ", ".join(f"{count} by profile {profile}" for profile, count in profiles.items())
    return (
        f"cells with rounds by another protocol, version or weights: {found}; they stay aside, and are back "
        f"when what measured them is asked for again (--profile; '{OWN}' for the matrix's own)"
    )


WHY = {
    LACKS: ("lacks rounds", "lack rounds"),
    BESIDE: ("goes along", "go along"),
    OPEN: ("of open pairs",) * 2,
}
"""Why one cell, or several, have a round in a pass."""


def _pass_text(fields: dict[str, Any]) -> str:
    """Return a line about a pass that begins: 3 cells: 1 lacks rounds, 2 go along."""
    why = ", ".join(counted(count, *WHY[reason]) for reason, count in fields["why"].items())
    cells = counted(fields["cells"], "cell", "cells")
    return f"{fields['lane']}  pass {fields['number']}, {cells}: {why}"


def _waited_text(fields: dict[str, Any]) -> str:
    """Return a line about a window that was waited for, or is measured again."""
    why, seconds = "; ".join(fields["why"]), f"{fields['waited_s']:.1f} s"
    in_vain = f"no quiet in {seconds}" if fields["waited_s"] >= 0.05 else "not quiet"
    quiet = f"quiet after {seconds}" if fields["quiet"] else in_vain
    return f"{fields['id']}  {why}: {'measured again, ' if fields['try'] > 1 else ''}{quiet}"


def round_text(fields: dict[str, Any]) -> str:
    """Return a line about a round that has ended."""
    head = f"{fields['id']}  round {fields['round']}"
    if fields["status"] != "ok":
        return f"{head}  {fields['status']}: {fields['reason']}"
    doubt = "" if fields["verdict"] == "VALID" else f"  {fields['verdict']}"
    scenario = fields["id"].removesuffix("-again").rpartition("-")[2]
    return f"{head}  {fields['value']:.4g} {SCENARIOS[scenario].unit}{doubt}"
