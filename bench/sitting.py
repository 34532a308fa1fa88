"""One sitting of the bench: the harness's own cost, the machine's ceilings, the cells, what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    accuracy,
    ceilings,
    cells,
    certificate,
    launch,
    machine,
    matrix,
    selection,
    sides,
    stats,
    store,
    verdicts,
)
from bench.child import request
from bench.contract import RUNNERS, Cell
from bench.launch import OnEvent
from bench.matrix import Matrix
from bench.passes import Sitting
from bench.protocol import Protocol
from bench.rundir import RunFolder
from bench.store import CellResult, Difference
from bench.verdicts import Comparison
from pose.errors import UserError
from pose.files import read_json, write_json

IDENTITY = ("CPU", "CPU features", "usable cores", "GPUs", "architecture")
"""What two fingerprints of one machine share, by `bench.sides.machine_of_run`'s names."""

NULL_RUNNER = "bench.measure:NullRunner"
NULL_SCENARIOS = ("latency", "throughput")
NULL_WINDOW_S = {"warmup_s": 0.1, "measured_s": 0.5}


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
    accuracies: list[Difference] = field(default_factory=list)
    unproven: frozenset[str] = frozenset()
    """IDs of the run's cells that were timed without a certificate."""
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
    measure: Callable[[Matrix, str], dict[str, Any]] = ceilings.measure,
) -> Sat:
    """Measure what is asked for and an A/A pair; write the cells, what compares them, and bench.json.

    runners and env are `bench.cells.run`'s; measure is `bench.ceilings`'s.
    """
    picked = selection.select(chosen.cells, wanted.only)
    pair = matrix.noise_pair(picked)
    measured = replace(chosen, cells=(*picked, *([pair[1]] if pair else [])))
    sitting = Sitting.begin()
    here = machine.fingerprint()
    _require_same_machine(run, here, {cell.id for cell in measured.cells} if wanted.again else set())
    _note(run, matrix=chosen.to_dict(), machine=here, sitting=_described(sitting, wanted))

    def prepare() -> None:
        if not pair:
            return
        tell("stage", {"what": "the harness's own cost"})
        _note(run, null=overhead(run, pair[0]))
        tell("stage", {"what": "the machine's ceilings"})
        for device, name in ceilings.FACTS.items():
            if ceilings.timed_on(measured, device):
                _note(run, **{name: measure(measured, device)})

    results = cells.run(
        run.path,
        measured,
        timeout_s=wanted.timeout_s,
        uncertified=wanted.uncertified,
        again=wanted.again,
        on_event=tell,
        prepare=prepare,
        runners=runners,
        env=env,
        sitting=sitting,
        idle_w=ceilings.idle_w(measured),
    )
    return _closed(run, results, pair and pair[1], sitting)


def _closed(run: RunFolder, results: list[CellResult], replica: Cell | None, sitting: Sitting) -> Sat:
    """Write what the run's cells come to, and return it; replica is the second of the A/A pair."""
    results = ceilings.with_shares(run, results, read_facts(run.path))
    stored = store.cells(run.path)
    found = verdicts.compare(stored)
    noise = _noise(run, found, replica, sitting) if replica else {}
    if noise.get("verdict") == "INVALID":
        found = verdicts.withheld(found, f"the run is INVALID: {'; '.join(noise['reasons'])}")
    write_comparisons(run.path, found)
    scored = accuracy.renew(run.path, stored)
    _note(run, ended=sitting.id, **({"noise": noise} if noise else {}))
    return Sat(
        results,
        found,
        noise,
        read_facts(run.path).get("null", {}),
        scored,
        certificate.unproven(stored),
        _flagged(stored),
    )


def _flagged(stored: Sequence[CellResult]) -> dict[str, list[str]]:
    return {one.id: one.validity.reasons for one in stored if one.validity.verdict == "FLAGGED"}


def _require_same_machine(run: RunFolder, fingerprint: dict[str, Any], forgotten: set[str]) -> None:
    """Raise UserError when rounds that stay were measured on another machine than this one."""
    staying = [one.id for one in store.cells(run.path) if one.rounds and one.id not in forgotten]
    there, here = (sides.machine_of_run(one)[0] for one in (_machine_of(run), fingerprint))
    known = [one for one in sides.differing(there, here) if one["what"] in IDENTITY and one["a"] is not None]
    if staying and known:
        what = "; ".join(f"{one['what']}: {one['a']} there, {one['b']} here" for one in known)
        raise UserError(
            f"{run.path} holds rounds of another machine ({what}); expected one machine a run: measure all "
            f"its cells with --again, or a copy of the run without its folder 'bench'"
        )


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


def read_facts(run: Path) -> dict[str, Any]:
    """Return bench.json of a run; the least of it before its first bench."""
    path = run / "bench" / "bench.json"
    found = read_json(path, "what 'twinpose bench' wrote") if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _note(run: RunFolder, **fields: Any) -> None:
    """Put fields into bench.json; `sitting` begins one and `ended` ends it."""
    found = {"schema": store.SCHEMA, "sittings": [], **read_facts(run.path)}
    begun, ended = fields.pop("sitting", None), fields.pop("ended", None)
    if begun:
        found["sittings"] = [*found["sittings"], begun]
        found["started"] = begun["started"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found["sittings"] = [{**s, "ended": now} if s["id"] == ended else s for s in found["sittings"]]
    write_json(run.path / "bench" / "bench.json", {**found, **fields, "schema": store.SCHEMA})


def overhead(run: RunFolder, like: Cell) -> dict[str, Any]:
    """Return what a query costs with a runner that computes nothing: {"latency_us", "throughput_us", "n"}.

    The null runner goes the whole way of a cell: its own process, the same loop, the same clock.
    """
    found: dict[str, Any] = {"threads": like.threads}
    protocol = Protocol.model_validate({"profile": "quick", **NULL_WINDOW_S, "images": 8})
    for scenario in NULL_SCENARIOS:
        folder = run.path / "bench" / "children" / f"null-{scenario}"
        cell = replace(like, mode="eager", precision="fp32", device="cpu", scenario=scenario)
        outcome = launch.call(
            "bench.measure:cell",
            request(run, cell, protocol, folder / "samples.npz", runner=NULL_RUNNER),
            folder,
            timeout_s=60,
            env=launch.thread_environment(like.threads, like.allocator),
        )
        value = launch.value_of(outcome)
        durations = store.load_samples(folder / "samples.npz")
        [raw] = durations.values()
        found[f"{scenario}_us"] = {
            "p50": stats.percentile(raw, 50) / 1e3,
            "p99": stats.percentile(raw, 99) / 1e3,
        }
        found["n"] = value["count"]
    return found


def write_comparisons(run: Path, found: Sequence[Comparison]) -> None:
    """Write comparisons.json: every comparison of the run's cells, as they are stored now."""
    rows, counts = verdicts.to_json(found), verdicts.counts(found)
    write_json(
        run / "bench" / "comparisons.json",
        {"schema": store.SCHEMA, "comparisons": rows, "counts": counts},
    )


def _noise(run: RunFolder, found: Sequence[Comparison], replica: Cell, sitting: Sitting) -> dict[str, Any]:
    """Return the noise floor: the A/A intervals of this run's benches in order, and their verdict.

    Rounds that a later sitting adds to a pair renew its interval; only a pair measured anew is another.
    """
    history = list(read_facts(run.path).get("noise", {}).get("history", []))
    pair = next((one for one in found if one.set == verdicts.NOISE_FLOOR and one.a == replica.id), None)
    if pair is not None and pair.interval is not None:
        began = store.read(store.folder(run.path) / f"{pair.a}.json").rounds[0].pass_
        figures = {"n": pair.n, "ratio": pair.ratio, "interval": list(pair.interval)}
        known = {"a": pair.a, "b": pair.b, **figures, "began": began}
        places = [i for i, one in enumerate(history) if (one["a"], one["began"]) == (pair.a, began)]
        if not places:
            history.append({**known, "sitting": sitting.id})
        elif any(history[places[0]].get(name) != value for name, value in known.items()):
            history[places[0]] = {**known, "sitting": sitting.id}
    if not history:
        reasons = ["the A/A pair has no interval: fewer than two of its rounds shared a pass"]
        return {"history": [], "verdict": None, "reasons": reasons}
    of_pair = [tuple(one["interval"]) for one in history if one["a"] == replica.id]
    return {"history": history, **stats.noise_validity(of_pair)}
