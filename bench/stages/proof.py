"""The stage that climbs the parity ladder for a run."""

from __future__ import annotations

import shlex

from bench.parity import climb, ladder
from bench.parity.certificate import Parity
from bench.run.folder import RunFolder
from bench.stages.measurement import load_matrix


def prove(
    run: RunFolder,
    rungs: tuple[int, ...] = ladder.QUICK,
    matrix_name: str | None = None,
    device: str | None = None,
) -> Parity:
    """Climb the parity ladder for the run's trained twins; write and return the certificate.

    It covers the modes, precisions and devices that a matrix (the recipe's unless named) measures, in the
    environments that it names; `device` as `load_matrix` takes it.
    """
    climb.require_device(device)
    measured = load_matrix(run, matrix_name, device) if device or matrix_name or run.recipe.matrix else None
    command = f"twinpose parity {run.quoted}"
    command += f" --matrix {shlex.quote(matrix_name)}" if matrix_name else ""
    command += f" --device {device}" if device else ""
    if rungs != ladder.ALL:
        command += " --quick" if rungs == ladder.QUICK else f" --rungs {','.join(map(str, rungs))}"
    return climb.run_folder(run, climb.ClimbRequest(rungs, command), measured)
