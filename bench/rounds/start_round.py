"""One round of one cell in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell
from bench.cells.matrix import Matrix, Place
from bench.cells.protocol import Protocol
from bench.cells.runtimes import RUNNERS
from bench.cells.scenarios import SCENARIOS, why_not
from bench.contract import RunnerSpec
from bench.machine import fingerprint
from bench.process import environment, launch
from bench.process.launch import OnEvent
from bench.rounds.passes import Session
from bench.rounds.repeats import Repeats
from bench.rounds.why_absent import missing, recorded
from bench.run import artifacts
from bench.run.folder import RunFolder
from pose.files import make_folder

MEMORY_SHARE = 0.9
"""Of the memory that processes here may hold; a cell above it is ended before the kernel picks a victim."""


@dataclass(frozen=True)
class Means:
    """What rounds are measured with, beside the matrix."""

    session: Session
    tell: OnEvent
    timeout_s: float
    idle_w: float | None = None
    """What the GPU draws when idle; None where it is not known."""
    runners: Mapping[str, str] = field(default_factory=lambda: RUNNERS)
    """By runtime, its runner as "module:class"."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Laid over every child's environment."""


def run_round(
    run: RunFolder,
    matrix: Matrix,
    cell: Cell,
    means: Means,
    artifact_sha256: str | None,
    *,
    samples: Path,
    cpus: tuple[int, ...] | None,
    repeats: Repeats | None = None,
    first: bool = True,
) -> launch.Outcome:
    """Return what became of one round; without an artifact, why there is none.

    samples: where it writes its raw samples, and where they stay; cpus: the logical processors that it may
    use, None for all; repeats: what it may spend on quiet, None for nothing; first: whether the cell has no
    round before it.
    Request, events, log and result lie in bench/children/ID.
    """
    for stale in samples.parent.glob(f"{samples.stem}*.npz"):
        stale.unlink()
    if absent := why_not(cell):
        outcome = launch.Outcome("unsupported", absent, None, 0.0)
    elif artifact_sha256 is None:
        outcome = missing(run, cell, matrix.flag)
    else:
        folder, runner = run.path / "bench" / "children" / cell.id, means.runners[cell.runtime]
        make_folder(folder)
        make_folder(samples.parent)
        outcome = start(
            "bench.scenarios.round:cell",
            request(run, cell, matrix.protocol, samples, runner=runner, idle_w=means.idle_w)
            | (repeats.to_dict() if repeats else {})
            | {"timeout_s": means.timeout_s, "first": first},
            folder,
            cell,
            matrix.places.get(cell.runtime),
            timeout_s=means.timeout_s,
            env=means.env,
            cpus=cpus,
            tell=means.tell,
        )
    return recorded(run, outcome)


def start(
    entry: str,
    payload: Mapping[str, Any],
    folder: Path,
    cell: Cell,
    place: Place | None = None,
    *,
    timeout_s: float,
    env: Mapping[str, str],
    cpus: tuple[int, ...] | None = None,
    tell: OnEvent,
) -> launch.Outcome:
    """Return what became of a child that drives a cell's runner, on its threads and where its runtime is."""
    place = place or Place()
    waits = environment.PASSIVE if not SCENARIOS[cell.scenario].timed else {}
    pools = environment.thread_environment(cell.threads, cell.allocator, cell.device)
    return launch.call(
        entry,
        payload,
        folder,
        timeout_s=timeout_s,
        env={**pools, **waits, **place.env, **env},
        interpreter=place.python,
        working_folder=Path(place.folder) if place.folder else None,
        cpus=cpus,
        memory_limit_bytes=memory_limit_bytes(),
        on_event=lambda name, fields: tell(name, {"id": cell.id, **fields}),
    )


def memory_limit_bytes() -> int | None:
    """Return how much a cell's processes may hold; None where the system tells no limit."""
    limit = fingerprint.memory_limit_bytes()
    return None if limit is None else int(limit * MEMORY_SHARE)


def request(
    run: RunFolder, cell: Cell, protocol: Protocol, samples: Path, *, runner: str, idle_w: float | None = None
) -> dict[str, Any]:
    """Return what `bench.scenarios.round.cell` is told of a round; samples is where it writes them."""
    return {
        **asked(run, cell, runner),
        "protocol": protocol.model_dump(mode="json"),
        "twin": cell.twin,
        "workers": run.settings.workers,
        "samples": samples.resolve(),
        "idle_w": idle_w,
    }


def asked(run: RunFolder, cell: Cell, runner: str) -> dict[str, Any]:
    """Return what every child that drives a cell's runner is told: the runner, its spec and its inputs."""
    settings = run.settings
    spec = RunnerSpec(
        recipe=run.recipe.model_dump(mode="json"),
        artifact=str(artifacts.artifact(run.path, cell).resolve()),
        mode=cell.mode,
        precision=cell.precision,
        device=cell.device,
        threads=cell.threads,
        batch=cell.batch,
        scenario=cell.scenario,
    )
    return {
        "runner": runner,
        "spec": asdict(spec),
        "coco": settings.coco.resolve(),
        "split_file": run.split_file.resolve(),
        "boxes": settings.boxes.resolve() if settings.boxes else None,
    }
