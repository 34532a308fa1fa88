"""The order of a run's stages, and whether what each makes still holds."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.cells.cell import TWINS
from bench.parity import climb
from bench.parity import gate as gate_
from bench.rounds.session import BenchRequest
from bench.run import conversion, trainings
from bench.run.folder import RunFolder
from bench.stages.conversion import convert
from bench.stages.evaluation import Tested, evaluate
from bench.stages.importing import is_placed, place
from bench.stages.measurement import bench, load_matrix
from bench.stages.pictures import samples, samples_hold
from bench.stages.proof import prove
from bench.stages.training import best_epochs, command, is_trained, train, train_seed
from pose.files import read_as, sha256_of_file


@dataclass(frozen=True)
class Stage:
    """One step of a run: its name in run.json, the verb that does it alone, and what to call."""

    name: str
    command: str
    action: Callable[[], Any]
    holds: Callable[[], bool]
    """Whether what the stage makes is there, and made from what is there now."""


def sequence(run: RunFolder, *, uncertified: bool = False, given: Path | None = None) -> list[Stage]:
    """Return the stages after preparation, in order; without the parity ladder when `uncertified`.

    given: canonical weights that take the place of both trainings.
    """
    path = run.quoted
    if given:
        stages = [_weights(run, twin, given) for twin in TWINS]
    else:
        stages = [_training(run, seed, twin) for seed in trainings.seeds_wanted(run) for twin in TWINS]
    stages.append(Stage("test", f"twinpose eval {path}", partial(evaluate, run), partial(_is_tested, run)))
    stages += [
        Stage(
            f"convert {t}",
            f"twinpose convert {path} --twin {t}",
            partial(convert, run, t),
            partial(_is_converted, run, t),
        )
        for t in TWINS
    ]
    if not uncertified:
        proof = Stage(
            "parity", f"twinpose parity {path} --quick", partial(prove, run), partial(_is_proven, run)
        )
        stages.append(proof)
    if run.recipe.matrix:
        # Every cell knows by its own hash whether it is finished.
        again = f"twinpose bench {path}{' --uncertified' if uncertified else ''}"
        wanted = BenchRequest(uncertified=uncertified, command=again)
        measure = partial(bench, run, load_matrix(run, None), wanted)
        stages.append(Stage("bench", again, measure, lambda: False))
    stages.append(
        Stage("samples", f"twinpose report {path}", partial(samples, run), partial(samples_hold, run))
    )
    return stages


def _training(run: RunFolder, seed: int, twin: str) -> Stage:
    made = trainings.of_seed(run, seed)
    first, holds = made is run, partial(is_trained, made, twin)
    action = partial(train, run, twin) if first else partial(train_seed, run, seed, twin)
    return Stage(f"train {twin}" + ("" if first else f" seed {seed}"), command(made, twin), action, holds)


def _weights(run: RunFolder, twin: str, given: Path) -> Stage:
    again = f"twinpose run --recipe {shlex.quote(str(run.path / 'recipe.yaml'))} "
    again += f"--weights {shlex.quote(str(given))} --coco {shlex.quote(str(run.settings.coco))} "
    again += f"--out {run.quoted}"
    put, holds = partial(place, run, twin, given), partial(is_placed, run, twin, given)
    return Stage(f"weights {twin}", again, put, holds)


def _is_tested(run: RunFolder) -> bool:
    path = run.path / "test.json"
    if not path.exists():
        return False
    record = read_as(path, Tested, "the test part's scores; 'twinpose eval' makes them")
    return record.split is None or {t: row.epoch for t, row in record.twins.items()} == best_epochs(run)


def _is_converted(run: RunFolder, twin: str) -> bool:
    record, weights = conversion.read(run.path, twin), run.train_folder(twin) / "best.safetensors"
    if record is None or not weights.exists():
        return False
    ended_well = all(route.status == "ok" for route in record.routes)
    return ended_well and record.weights_sha256 == sha256_of_file(weights)


def _is_proven(run: RunFolder) -> bool:
    """Return whether another climb would look at nothing else, and every rung that a timing needs passed."""
    gate = gate_.of_run(run.path)
    if gate.found is None or not gate.is_whole():
        return False
    measured = load_matrix(run, None) if run.recipe.matrix else None
    certified = {one.arm for one in gate.found.runtimes}
    return all(
        one.arm in certified and gate.outdated(one.runtime, one.twin) is None
        for one in climb.expected(run, measured)
    )
