"""The parity ladder: climbs its rungs and writes what was found as a content-hashed certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.parity import kept_rungs
from bench.parity.certificate import Certificate, Check, Rung, Status
from bench.parity.rungs import data, deployment, forward, gradient, optimizer, postprocessing, trajectory
from bench.parity.rungs import weights as weights_
from bench.parity.rungs.arms import Precisions, Subject
from bench.parity.rungs.base import Context
from bench.process import launch
from pose.errors import Unsupported


@dataclass(frozen=True)
class LadderStep:
    """A rung of the ladder: its number, its name and what climbs it."""

    number: int
    name: str
    climb: Callable[[Context], list[Check]] | None
    """None for rung 7, which needs the artifacts too."""


LADDER = (
    LadderStep(1, "Data", data.climb),
    LadderStep(2, "Weights", weights_.climb),
    LadderStep(3, "Forward", forward.climb),
    LadderStep(4, "Loss and gradient", gradient.climb),
    LadderStep(5, "Optimizer step", optimizer.climb),
    LadderStep(6, "Trajectory", trajectory.climb),
    LadderStep(7, "Deployment", None),
    LadderStep(8, "Post-processing", postprocessing.climb),
)
ALL = tuple(step.number for step in LADDER)
QUICK = (1, 2, 3, 4, 5, 7, 8)
"""What a run climbs: all that needs no hundreds of training steps."""
DEPLOYMENT = 7


def climb(
    context: Context, subjects: Sequence[Subject], lower: Precisions, numbers: Sequence[int] = QUICK
) -> tuple[list[Rung], list[Certificate]]:
    """Climb the rungs in `numbers`; return all eight, and what rung 7 certifies, without ids.

    lower: the precisions by runtime that rung 7 reports beside float32.

    A rung that fails does not stop the climb: each tells something else about the same mistake.
    """
    rungs, facts = [], []
    for step in LADDER:
        if step.number not in numbers:
            rungs.append(Rung(step.number, step.name, kept_rungs.NOT_CLIMBED, "not asked for"))
            continue
        context.say(f"rung {step.number}: {step.name}")
        started = time.perf_counter()
        try:
            if step.climb is None:
                deployed = deployment.climb(context, subjects, lower=lower)
                checks, facts = deployed.checks, deployed.arms
            else:
                checks = step.climb(context)
            status: Status = "fail" if any(check.passed is False for check in checks) else "pass"
            rung = Rung(step.number, step.name, status, checks=tuple(checks))
        except Unsupported as reason:
            rung = Rung(step.number, step.name, "unsupported", str(reason))
        except launch.ChildFailed as error:
            rung = Rung(step.number, step.name, "fail", str(error))
        wall_s = round(time.perf_counter() - started, 3)
        rungs.append(replace(rung, wall_s=wall_s))
        failed = rung.failure
        at = f": {failed.check}{f' at {failed.where}' if failed.where else ''}" if failed else ""
        context.say(f"rung {step.number}: {rung.status}{at}{': ' + rung.reason if rung.reason else ''}")
    return rungs, facts
