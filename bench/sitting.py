"""One sitting of the bench: the harness's own cost, the machine's ceilings, the cells, what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import (
    accuracy,
    cells,
    certificate,
    energy,
    launch,
    limits,
    machine,
    matrix,
    selection,
    sides,
    stats,
    store,
    verdicts,
)
from bench.child import request
from bench.contract import RUNNERS, TIMED, Cell
from bench.launch import OnEvent
from bench.matrix import Matrix
from bench.passes import Sitting
from bench.rundir import RunFolder
from bench.store import CellResult, Difference
from bench.verdicts import Comparison
from pose import architecture
from pose.errors import UserError
from pose.files import read_json, write_json

IDENTITY = ("CPU", "CPU features", "usable cores", "GPUs", "architecture")
"""What two fingerprints of one machine share, by `bench.sides.machine_of_run`'s names."""

NULL_RUNNER = "bench.measure:NullRunner"
NULL_SCENARIOS = ("latency", "throughput")
NULL_WINDOW_S = {"warmup_s": 0.1, "measured_s": 0.5}

LIMITS_S = {"quick": 12.0, "standard": 20.0, "official": 40.0}
"""Seconds that measuring the machine's ceilings may take, by profile."""


CEILINGS = {"cpu": "limits", "cuda": "limits_cuda"}
"""By device: where bench.json has its ceilings."""


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
    ceilings: Callable[[Matrix, str], dict[str, Any]] | None = None,
) -> Sat:
    """Measure what is asked for and an A/A pair; write the cells, what compares them, and bench.json.

    runners and env are `bench.cells.run`'s; ceilings measures the machine, by default with `bench.limits`.
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
        for device, name in CEILINGS.items():
            if _timed_on(measured, device):
                _note(run, **{name: (ceilings or _limits)(measured, device)})

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
        idle_w=_idle_w(measured),
    )
    results = _with_shares(run, results)
    stored = store.cells(run.path)
    found = verdicts.compare(stored)
    noise = _noise(run, found, pair[1], sitting) if pair else {}
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
    protocol = matrix.Protocol.model_validate({"profile": "quick", **NULL_WINDOW_S, "images": 8})
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


def _timed_on(measured: Matrix, device: str) -> list[Cell]:
    """Return the timed cells of a device; none of a GPU that is not here."""
    if device == "cuda" and not machine.gpus():
        return []
    return [cell for cell in measured.cells if cell.device == device and cell.scenario in TIMED]


def _limits(measured: Matrix, device: str) -> dict[str, Any]:
    """Return the machine's ceilings for a device's lanes of a matrix, anew wherever a round is due."""
    timed = _timed_on(measured, device)
    threads = sorted({cell.threads for cell in timed})
    precisions = sorted({cell.precision for cell in timed} - {"defaults"})
    return limits.measure(
        threads,
        precisions,
        LIMITS_S[measured.protocol.profile],
        device=device,
        interpreters=measured.interpreters,
    )


def _idle_w(measured: Matrix) -> float | None:
    """Return what the idle GPU draws; None without a cell for one, or without a counter."""
    if not any(cell.device == "cuda" for cell in measured.cells):
        return None
    return energy.idle_power_w()[0]


def _with_shares(run: RunFolder, results: Sequence[CellResult]) -> list[CellResult]:
    """Return the cells, each with its share of the machine's peak where the network alone was timed."""
    facts = read_facts(run.path)
    macs = architecture.build(run.recipe.model).macs
    made = []
    for result in results:
        axes, rate = result.axes, _images_per_s(result)
        known = facts.get(CEILINGS.get(axes.device, ""))
        peak = limits.peak(known, axes.precision, axes.threads, axes.device) if known else None
        # A cell that nothing was added to keeps the share of the sitting that measured it.
        if rate and peak and "share_of_peak" not in result.stats:
            share = limits.share(macs, 1, 1 / rate, peak)
            result = msgspec.structs.replace(result, stats={**result.stats, "share_of_peak": share})
            store.save(run.path, result)
        made.append(result)
    return made


def _images_per_s(result: CellResult) -> float | None:
    """Return the images a second of a cell that times the network alone."""
    value = result.stats.get("value")
    if result.status != "ok" or not value:
        return None
    by_scenario = {"latency": 1e3 * result.axes.batch / value, "throughput": value}
    return by_scenario.get(result.axes.scenario)


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
