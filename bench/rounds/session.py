"""A bench, from what is asked for to what it leaves: plan, measure, close."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from bench.ceilings import shares
from bench.cells import filter as filter_
from bench.cells.cell import Cell
from bench.cells.matrix import Matrix
from bench.cells.runtimes import PACKAGES, RUNNERS
from bench.machine import fingerprint as fingerprint_
from bench.machine import identity
from bench.machine.identity import IDENTITY
from bench.parity import certificate
from bench.parity import gate as gate_
from bench.process.launch import OnEvent
from bench.rounds import close, measure, noise_pair
from bench.rounds.null_cost import overhead
from bench.rounds.passes import Session
from bench.rounds.plan import Agenda, Basis, Plan, plan
from bench.rounds.start_round import Means
from bench.run import bench_file, journal, results, set_aside
from bench.run.bench_file import BenchedMatrix, BenchFile, Ceilings, NoiseFloor, NullCost, SessionRecord
from bench.run.folder import RunFolder
from bench.run.results import CellResult
from bench.run.set_aside import StoredCell
from bench.verdicts import ap_differences, comparisons, open_pairs, peak_doubts
from bench.verdicts.ap_differences import ApDifference
from bench.verdicts.comparisons import Comparison
from bench.verdicts.open_pairs import Outlook
from pose import architecture
from pose.errors import UserError


@dataclass(frozen=True)
class BenchRequest:
    """What `twinpose bench` was asked for."""

    only: str | None = None
    """Which cells (-k); None for all."""
    timeout_s: float | None = None
    """For a round; None for the protocol's."""
    uncertified: bool = False
    """Whether to time what the parity ladder has not certified."""
    again: bool = False
    """Whether to forget the rounds of the selected cells first."""
    more: bool = False
    """Whether to measure pairs that are open beyond the protocol's last round, until they are decided."""
    command: str = "twinpose bench"

    def seconds(self, matrix: Matrix) -> float:
        """Return how long a round of a matrix may take."""
        return matrix.protocol.timeout_s if self.timeout_s is None else self.timeout_s


@dataclass(frozen=True)
class BenchResult:
    """What a bench leaves."""

    cells: list[CellResult]
    comparisons: list[Comparison]
    noise: NoiseFloor
    null: NullCost | None
    """What a query costs without work, as last measured in the run; None before."""
    accuracies: list[ApDifference] = field(default_factory=list)
    uncertified: dict[str, str] = field(default_factory=dict)
    """By ID why cells of the run are uncertified that were timed."""
    flagged: dict[str, list[str]] = field(default_factory=dict)
    """By ID, what is doubtful about those of the run's cells that are flagged."""
    outlook: Outlook = field(default_factory=Outlook)
    """Which pairs are open, and what it would cost to decide them."""


def run(
    folder: RunFolder,
    chosen: Matrix,
    request: BenchRequest,
    tell: OnEvent,
    *,
    runners: Mapping[str, str] = RUNNERS,
    env: Mapping[str, str] | None = None,
    ceilings: Callable[[Matrix, str], Ceilings] = shares.measure,
) -> BenchResult:
    """Measure what is asked for and an A/A pair; write the cells, what compares them, and bench.json.

    tell hears what `prepared` and `bench.rounds.measure.measure` say; runners and env are
    `bench.rounds.start_round.Means`'s; ceilings is `bench.ceilings.shares.measure`.
    """
    picked = filter_.select(chosen.cells, request.only)
    pair = noise_pair.noise_pair(picked)
    wanted = replace(chosen, cells=(*picked, *([pair[1]] if pair else [])))
    stored = set_aside.stored(folder.path, damaged=noise_pair.with_replicas(wanted.cells))
    here = fingerprint_.fingerprint(PACKAGES)
    record = bench_file.read(folder.path) or BenchFile()
    record = _on_this_machine(folder, record, here, stored, picked if request.again else [])
    agenda = prepared(folder, wanted, stored, request, tell)

    session = Session.begin()
    means = Means(session, tell, request.seconds(chosen), shares.idle_w(wanted), runners, env or {})
    # What some cells were measured by holds for them; only a bench of all decides for the matrix.
    asked = {} if request.only else {chosen.name: chosen.profile_given or ""}
    record = record.begun(
        SessionRecord(session.id, session.seed, request.command, _asks(chosen, request), journal.now()),
        profiles=record.profiles_asked | asked,
        matrix=msgspec.convert(chosen.to_dict(), BenchedMatrix),
        machine=here,
    )
    record = bench_file.write(folder.path, record)
    if pair and agenda.can_time:
        record = _with_limits(folder, record, wanted, pair[0], tell, ceilings)
    rows = measure.measure(agenda, means)
    if pair and (other := noise_pair.stand_in(rows, pair)):
        pair = (other, replace(other, replica=1))
        stored |= {one.id: replace(stored.get(one.id, StoredCell()), current=one) for one in rows}
        agenda = prepared(folder, replace(chosen, cells=pair), stored, replace(request, again=False), tell)
        later = replace(means, session=replace(session, id=f"{session.id}-again"))
        anew = measure.measure(agenda, later)
        rows = [*({one.id: one for one in (*rows, *anew)}.values())]
    rows = [_as_asked(folder, row, chosen) for row in rows]
    return _closed(folder, record, stored, rows, pair, session)


def _as_asked(folder: RunFolder, row: CellResult, chosen: Matrix) -> CellResult:
    """Return a cell with the percentiles that a matrix asks for; stored where it had others."""
    if not close.lacks_percentiles(row, chosen.protocol):
        return row
    raw = results.samples_by_round(folder.path, row)
    made = close.with_percentiles(row, chosen.protocol, raw)
    results.save(folder.path, made)
    return made


def _asks(chosen: Matrix, request: BenchRequest) -> tuple[str, ...]:
    """Return what `twinpose bench RUN` is given to measure the same cells on."""
    only = ("-k", request.only) if request.only else ()
    return (*chosen.options, *only, *((open_pairs.UNCERTIFIED,) if request.uncertified else ()))


def prepared(
    folder: RunFolder, wanted: Matrix, stored: dict[str, StoredCell], request: BenchRequest, tell: OnEvent
) -> Agenda:
    """Plan a bench of the cells of a matrix, make the stored cells so that it can start, and return it.

    tell hears "put_aside" (profiles: how many cells of each) where rounds of another protocol, version or
    weights stand back. Raises UserError when certified weights were altered, unless the request is
    `uncertified`.
    """
    gate = gate_.of_run(folder.path, wanted.places)
    if not request.uncertified:
        gate.require_unaltered()
    basis = Basis.of(folder, wanted, gate)
    if request.again:
        for cell_id in noise_pair.with_replicas(wanted.cells):
            stored.pop(cell_id, None)
            results.forget(folder.path, cell_id)
    made = plan(basis, stored, uncertified=request.uncertified)
    _apply(made, stored)
    if made.put_aside:
        tell("put_aside", {"profiles": made.put_aside})
    begun = journal.passes(folder.path)
    others = [one.current for one in stored.values() if one.current]
    return Agenda(made, journal.broken(begun), journal.alone(begun), others, request.more)


def _apply(made: Plan, stored: dict[str, StoredCell]) -> None:
    """Change the stored cells as a plan says, on disk and in `stored`."""
    path = made.basis.run.path
    for cell_id, aside, back in made.switches:
        set_aside.switch(path, cell_id, aside, back)
        others = [one for one in stored[cell_id].others if one is not back]
        stored[cell_id] = StoredCell(back, (*others, aside) if aside else tuple(others))
    for row in made.rewritten:
        results.save(path, row)


def _with_limits(
    folder: RunFolder,
    record: BenchFile,
    wanted: Matrix,
    like: Cell,
    tell: OnEvent,
    ceilings: Callable[[Matrix, str], Ceilings],
) -> BenchFile:
    """Measure what the harness costs, in the lane of a cell, and the ceilings of all lanes."""
    tell("stage", {"what": "the harness's own cost"})
    record = bench_file.write(folder.path, msgspec.structs.replace(record, null=overhead(folder, like)))
    tell("stage", {"what": "the machine's ceilings"})
    for device in bench_file.CEILINGS:
        if shares.timed_on(wanted, device):
            found = shares.merged(record.ceilings(device), ceilings(wanted, device))
            record = bench_file.write(folder.path, record.with_ceilings(device, found))
    return record


def _closed(
    folder: RunFolder,
    record: BenchFile,
    stored: Mapping[str, StoredCell],
    rows: Sequence[CellResult],
    pair: tuple[Cell, Cell] | None,
    session: Session,
) -> BenchResult:
    """Write what the run's cells come to, and return it."""
    path, measured = folder.path, {one.id: one for one in rows}
    before = {name: one.current for name, one in stored.items() if one.current} | measured
    macs = architecture.build(folder.recipe.model).macs
    closed = close.close(before, measured, record, pair, session.id, macs)
    for cell_id, one in closed.cells.items():
        if one != before[cell_id]:
            results.save(path, one)
    comparisons.write(path, closed.comparisons)
    cells = [*closed.cells.values()]
    scored = ap_differences.renew(path, cells)
    record = peak_doubts.doubted(record, cells)
    bench_file.write(path, record.ended(session.id, noise=closed.noise))
    uncertified = certificate.doubts(certificate.read(path), cells)
    return BenchResult(
        cells=[closed.cells[cell_id] for cell_id in measured],
        comparisons=closed.comparisons,
        noise=closed.noise,
        null=record.null,
        accuracies=scored,
        uncertified=uncertified,
        outlook=open_pairs.outlook(cells, closed.comparisons, record.sessions, uncertified),
        flagged={one.id: one.validity.reasons for one in cells if one.validity.verdict == "FLAGGED"},
    )


def _on_this_machine(
    folder: RunFolder,
    record: BenchFile,
    here: Mapping[str, Any],
    stored: Mapping[str, StoredCell],
    forgotten: Iterable[Cell],
) -> BenchFile:
    """Return bench.json's record without what it says of another machine than this one.

    Raises UserError when rounds that stay were measured there.
    """
    machines = (identity.machine_of_run(one)[0] for one in (record.machine, here))
    known = [one for one in identity.differing(*machines) if one["what"] in IDENTITY and one["a"] is not None]
    staying = {name for name, one in stored.items() if one.last_number}
    if known and staying - noise_pair.with_replicas(forgotten):
        what = "; ".join(f"{one['what']}: {one['a']} there, {one['b']} here" for one in known)
        raise UserError(
            f"{folder.path} holds rounds of another machine ({what}); expected one machine a run: measure "
            f"all its cells with --again, or a copy of the run without its folder 'bench'"
        )
    if not known:
        return record
    return msgspec.structs.replace(record, noise=NoiseFloor(), null=None, limits=None, limits_cuda=None)
