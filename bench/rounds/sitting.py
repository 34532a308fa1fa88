"""One sitting of the bench: the harness's own cost, the machine's ceilings, the cells, what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bench.ceilings import shares
from bench.cells import filter as filter_
from bench.cells.cell import Cell
from bench.cells.matrix import Matrix
from bench.cells.runtimes import PACKAGES, RUNNERS
from bench.cells.scenarios import TIMED
from bench.machine import fingerprint as fingerprint_
from bench.machine import identity
from bench.machine.identity import IDENTITY
from bench.parity import certificate
from bench.process.launch import OnEvent
from bench.rounds import lanes, noise_pair
from bench.rounds.null_cost import overhead
from bench.rounds.passes import Sitting
from bench.run import results as results_
from bench.run import set_aside
from bench.run.bench_file import note, profiles, read_facts
from bench.run.folder import RunFolder
from bench.run.results import CellResult
from bench.verdicts import ap_differences, noise_floor
from bench.verdicts import comparisons as comparisons_
from bench.verdicts.ap_differences import ApDifference
from bench.verdicts.comparisons import Comparison
from pose.errors import UserError


@dataclass(frozen=True)
class Wanted:
    """What `twinpose bench` was asked for."""

    only: str | None = None
    timeout_s: float | None = None
    uncertified: bool = False
    again: bool = False
    command: str = "twinpose bench"


@dataclass(frozen=True)
class Sat:
    """What a sitting leaves."""

    cells: list[CellResult]
    comparisons: list[Comparison]
    noise: dict[str, Any]
    null: dict[str, Any]
    """What a query costs without work, as last measured in the run; {} before."""
    accuracies: list[ApDifference] = field(default_factory=list)
    uncertified: dict[str, str] = field(default_factory=dict)
    """By ID why cells of the run are uncertified that were timed."""
    flagged: dict[str, list[str]] = field(default_factory=dict)
    """By ID, what is doubtful about those of the run's cells that are flagged."""


def sit(
    run: RunFolder,
    chosen: Matrix,
    wanted: Wanted,
    tell: OnEvent,
    *,
    runners: Mapping[str, str] = RUNNERS,
    env: Mapping[str, str] | None = None,
    measure: Callable[[Matrix, str], dict[str, Any]] = shares.measure,
) -> Sat:
    """Measure what is asked for and an A/A pair; write the cells, what compares them, and bench.json.

    runners and env are `bench.rounds.lanes.run`'s; measure is `bench.ceilings.shares`'s.
    """
    picked = filter_.select(chosen.cells, wanted.only)
    pair = noise_pair.noise_pair(picked)
    measured = replace(chosen, cells=(*picked, *([pair[1]] if pair else [])))
    sitting = Sitting.begin()
    here = fingerprint_.fingerprint(PACKAGES)
    _require_same_machine(run, here, noise_pair.with_replicas(picked) if wanted.again else set())
    # What some cells were measured by holds for them; only a bench of all decides for the matrix.
    asked = profiles(run.path) | ({} if wanted.only else {chosen.name: chosen.profile_given or ""})
    begun = {"profiles": asked, "sitting": _described(sitting, wanted)}
    note(run, matrix=chosen.to_dict(), machine=here, **begun)

    prepare = partial(_prepare, run, measured, pair[0], tell, measure) if pair else None

    def run_cells(matrix_: Matrix, sitting_: Sitting, again: bool) -> list[CellResult]:
        return lanes.run(
            run.path,
            matrix_,
            timeout_s=wanted.timeout_s,
            uncertified=wanted.uncertified,
            again=again,
            on_event=tell,
            prepare=prepare if sitting_ is sitting else None,
            runners=runners,
            env=env,
            sitting=sitting_,
            idle_w=shares.idle_w(matrix_),
        )

    results = run_cells(measured, sitting, wanted.again)
    if pair and (other := noise_pair.stand_in(results, pair)):
        pair = (other, replace(other, replica=1))
        later = replace(sitting, id=f"{sitting.id}-again")
        anew = {one.id: one for one in run_cells(replace(chosen, cells=pair), later, False)}
        results = [*({one.id: one for one in results} | anew).values()]
    return _closed(run, results, pair, sitting)


def _prepare(
    run: RunFolder,
    measured: Matrix,
    like: Cell,
    tell: OnEvent,
    measure: Callable[[Matrix, str], dict[str, Any]],
) -> None:
    """Measure what the harness costs, in the lane of a cell, and the ceilings of all lanes."""
    tell("stage", {"what": "the harness's own cost"})
    note(run, null=overhead(run, like))
    tell("stage", {"what": "the machine's ceilings"})
    for device, name in shares.FACTS.items():
        if shares.timed_on(measured, device):
            known = read_facts(run.path).get(name)
            note(run, **{name: shares.merged(known, measure(measured, device))})


def _closed(
    run: RunFolder, results: list[CellResult], pair: tuple[Cell, Cell] | None, sitting: Sitting
) -> Sat:
    """Write what the run's cells come to, and return it."""
    facts = read_facts(run.path)
    results = shares.with_shares(run, results, facts)
    stored = results_.cells(run.path)
    found = comparisons_.compare_lanes(stored)
    known = facts.get("noise", {})
    timed = any(one.status == "ok" and one.axes.scenario in TIMED for one in results)
    noise = noise_floor.renewed(run.path, known, found, pair, sitting.id) if pair and timed else known
    if noise.get("verdict") == "INVALID":
        found = comparisons_.withheld(found, f"the run is INVALID: {'; '.join(noise['reasons'])}")
    comparisons_.write(run.path, found)
    scored = ap_differences.renew(run.path, stored)
    note(run, ended=sitting.id, **({"noise": noise} if noise else {}))
    return Sat(
        results,
        found,
        noise,
        facts.get("null", {}),
        scored,
        certificate.doubts(certificate.read(run.path), stored),
        _flagged(stored),
    )


def _flagged(stored: Sequence[CellResult]) -> dict[str, list[str]]:
    return {one.id: one.validity.reasons for one in stored if one.validity.verdict == "FLAGGED"}


def _require_same_machine(run: RunFolder, fingerprint: dict[str, Any], forgotten: set[str]) -> None:
    """Raise UserError when rounds that stay were measured on another machine than this one.

    Where none stays, what bench.json says of that machine is forgotten.
    """
    staying = {one.id for one in results_.cells(run.path) if one.rounds} | set_aside.ids(run.path)
    there, here = (identity.machine_of_run(one)[0] for one in (_machine_of(run), fingerprint))
    known = [
        one for one in identity.differing(there, here) if one["what"] in IDENTITY and one["a"] is not None
    ]
    if known and staying - forgotten:
        what = "; ".join(f"{one['what']}: {one['a']} there, {one['b']} here" for one in known)
        raise UserError(
            f"{run.path} holds rounds of another machine ({what}); expected one machine a run: measure all "
            f"its cells with --again, or a copy of the run without its folder 'bench'"
        )
    if known:
        note(run, **{name: {} for name in ("noise", "null", *shares.FACTS.values())})


def _machine_of(run: RunFolder) -> dict[str, Any]:
    found = read_facts(run.path).get("machine")
    return found if isinstance(found, dict) else {}


def _described(sitting: Sitting, wanted: Wanted) -> dict[str, Any]:
    return {
        "id": sitting.id,
        "seed": sitting.seed,
        "command": wanted.command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": None,
    }
