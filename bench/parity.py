"""The parity ladder: climbs its rungs and writes what was found as a content-hashed certificate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import kept
from bench.cells.runtimes import RUNTIME_PACKAGES
from bench.contract import NEED_CERTIFICATE, plain
from bench.machine import fingerprint
from bench.parity_page import markdown
from bench.process import launch
from bench.rungs import data, deployment, forward, gradient, optimizer, postprocessing, trajectory
from bench.rungs import weights as round_trip
from bench.rungs.arms import Precisions, Subject
from bench.rungs.base import Check, Context
from pose import weights
from pose.errors import Unsupported
from pose.files import sha256_of_bytes, sha256_of_file, write_json, write_text

SCHEMA = 1


@dataclass(frozen=True)
class Step:
    """A rung of the ladder: its number, its name and what climbs it."""

    number: int
    name: str
    climb: Callable[[Context], list[Check]] | None
    """None for rung 7, which needs the artifacts too."""


LADDER = (
    Step(1, "Data", data.climb),
    Step(2, "Weights", round_trip.climb),
    Step(3, "Forward", forward.climb),
    Step(4, "Loss and gradient", gradient.climb),
    Step(5, "Optimizer step", optimizer.climb),
    Step(6, "Trajectory", trajectory.climb),
    Step(7, "Deployment", None),
    Step(8, "Post-processing", postprocessing.climb),
)
ALL = tuple(step.number for step in LADDER)
QUICK = (1, 2, 3, 4, 5, 7, 8)
"""What a run climbs: all that needs no hundreds of training steps."""
DEPLOYMENT = 7
NEEDED = frozenset(number for numbers in NEED_CERTIFICATE.values() for number in numbers)
"""What some timing needs."""


def packages_of(runtime: str, twin: str) -> tuple[str, ...]:
    """Return the packages that have a part in an arm: its runtime's and the twin's own framework's."""
    return tuple(dict.fromkeys((*RUNTIME_PACKAGES[runtime], *RUNTIME_PACKAGES[twin])))


@dataclass(frozen=True)
class Rung:
    """What became of one rung."""

    number: int
    name: str
    status: str
    """`pass`, `fail`, `unsupported` or `not climbed`."""
    reason: str | None
    checks: tuple[Check, ...] = ()
    wall_s: float = 0.0


def failure(rung: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return where a rung of parity.json failed first, None where it did not."""
    if rung["status"] != "fail":
        return None
    broken = next((check for check in rung["checks"] if check["passed"] is False), None)
    return {
        "rung": rung["number"],
        "name": rung["name"],
        "check": broken["name"] if broken else rung["reason"],
        "where": broken["where"] if broken else None,
    }


def climb(
    context: Context,
    subjects: Sequence[Subject],
    lower: Precisions,
    numbers: Sequence[int] = QUICK,
) -> tuple[list[Rung], list[dict[str, Any]]]:
    """Climb the rungs in `numbers`; return all eight, and the facts of each arm of rung 7.

    lower: the precisions by runtime that rung 7 reports beside float32.

    A rung that fails does not stop the climb: each tells something else about the same mistake.
    """
    rungs, facts = [], []
    for step in LADDER:
        if step.number not in numbers:
            rungs.append(Rung(step.number, step.name, kept.NOT_CLIMBED, "not asked for"))
            continue
        context.say(f"rung {step.number}: {step.name}")
        started = time.perf_counter()
        try:
            if step.climb is None:
                deployed = deployment.climb(context, subjects, lower=lower)
                checks, facts = deployed.checks, deployed.arms
            else:
                checks = step.climb(context)
            status = "fail" if any(check.passed is False for check in checks) else "pass"
            rung = Rung(step.number, step.name, status, None, tuple(checks))
        except Unsupported as reason:
            rung = Rung(step.number, step.name, "unsupported", str(reason))
        except launch.ChildFailed as error:
            rung = Rung(step.number, step.name, "fail", str(error))
        wall_s = round(time.perf_counter() - started, 3)
        rungs.append(Rung(rung.number, rung.name, rung.status, rung.reason, rung.checks, wall_s))
        failed = failure(asdict(rung))
        at = f": {failed['check']}{' at ' + failed['where'] if failed['where'] else ''}" if failed else ""
        context.say(f"rung {step.number}: {rung.status}{at}{': ' + rung.reason if rung.reason else ''}")
    return rungs, facts


def document(
    context: Context,
    rungs: Sequence[Rung],
    arms: Sequence[Mapping[str, Any]],
    subjects: Sequence[Subject],
    command: str,
    started: datetime,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of parity.json; its ids are hashes of all but times, commands and machine.

    before: the certificate that this one takes the place of. Rungs that were not climbed and arms that were
    not run keep what it says, if it is of the same recipe, versions, weights and artifacts.
    """
    model = context.recipe.model_dump(mode="json", include={"data", "model", "training"})
    made = {"command": command, "started": started.isoformat(timespec="seconds")}
    versions = {name: number for name, number in fingerprint.packages().items() if number}
    of = {
        "recipe_sha256": _hash(model),
        "versions": versions,
        "weights": {subject.name: describe_weights(subject.weights) for subject in subjects},
    }
    whole = [plain(asdict(rung)) | ({} if rung.status == kept.NOT_CLIMBED else made) for rung in rungs]
    deployed = [plain(arm) for arm in arms]
    if before is not None:
        other = kept.changed(before, of, subjects)
        whole = kept.rungs(whole, before, other)
        if other is None:
            deployed += kept.others(before, deployed)
    failed = next((f for f in map(failure, whole) if f), None)
    statuses = {rung["number"]: rung["status"] for rung in whole}
    unsupported = "unsupported" in statuses.values()
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "recipe": context.recipe.name,
        "recipe_sha256": of["recipe_sha256"],
        "status": "fail" if failed else "unsupported" if unsupported else "pass",
        "first_failure": failed,
        "versions": versions,
        "rungs": whole,
        "weights": of["weights"],
        "runtimes": [{"id": _arm_id(arm, of, statuses), **arm} for arm in deployed],
    }
    timeless = {**found, "rungs": [{k: v for k, v in r.items() if k not in TIMES} for r in whole]}
    wall_s = round((datetime.now(UTC) - started).total_seconds(), 1)
    return {"id": _hash(timeless), **found, **made, "wall_s": wall_s}


TIMES = ("wall_s", "command", "started", "kept")
"""Of a rung, what says when and how it was climbed."""


def _arm_id(arm: Mapping[str, Any], of: Mapping[str, Any], statuses: Mapping[int, str]) -> str:
    """Return the hash of what one certificate rests on; a rung that no timing needs counts when it failed."""
    named = packages_of(arm["runtime"], arm["twin"])
    decides = {
        "arm": arm,
        "recipe": of["recipe_sha256"],
        "rungs": {n: status for n, status in statuses.items() if n in NEEDED or status == "fail"},
        "versions": {name: of["versions"].get(name) for name in named},
    }
    return _hash(decides)


def _hash(value: Any) -> str:
    return sha256_of_bytes(json.dumps(value, sort_keys=True).encode())


def describe_weights(path: Path) -> dict[str, Any]:
    """Return the hash of a weights file and of each of its tensors, by which a changed one is named."""
    tensors = {name: weights.fingerprint({name: value}) for name, value in weights.read(path).items()}
    return {"sha256": sha256_of_file(path), "tensors": tensors}


def altered(path: Path, described: Mapping[str, Any]) -> str | None:
    """Return the name of a tensor of a weights file that is not as described, None when all are."""
    if sha256_of_file(path) == described["sha256"]:
        return None
    now = describe_weights(path)["tensors"]
    then = described["tensors"]
    return next((name for name in [*then, *now] if now.get(name) != then.get(name)), None)


def write(found: Mapping[str, Any], folder: Path) -> None:
    """Write parity.json and parity.md into `folder`, each whole or not at all."""
    write_text(folder / "parity.md", markdown(found))
    write_json(folder / "parity.json", found)
