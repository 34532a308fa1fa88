"""The parity ladder: climbs its rungs and writes what was found as a content-hashed certificate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import launch, machine
from bench.contract import plain
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

    def failure(self) -> dict[str, Any] | None:
        """Return where the rung failed first, None where it did not."""
        if self.status != "fail":
            return None
        broken = next((c for c in self.checks if c.passed is False), None)
        return {
            "rung": self.number,
            "name": self.name,
            "check": broken.name if broken else self.reason,
            "where": broken.where if broken else None,
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
            rungs.append(Rung(step.number, step.name, "not climbed", "not asked for"))
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
        failed = rung.failure()
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
) -> dict[str, Any]:
    """Return the content of parity.json; its id is a hash of all but times, command and machine."""
    statuses = {rung.number: rung.status for rung in rungs}
    climbed = [rung for rung in rungs if rung.status != "not climbed"]
    failed = next((f for f in (rung.failure() for rung in rungs) if f), None)
    if failed:
        status = "fail"
    else:
        status = "unsupported" if any(rung.status == "unsupported" for rung in climbed) else "pass"
    model = context.recipe.model_dump(mode="json", include={"data", "model", "training"})
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "recipe": context.recipe.name,
        "recipe_sha256": _hash(model),
        "status": status,
        "first_failure": failed,
        "versions": {name: number for name, number in machine.packages().items() if number},
        "rungs": [plain(asdict(rung)) for rung in rungs],
        "weights": {subject.name: describe_weights(subject.weights) for subject in subjects},
        "runtimes": [],
    }
    for arm in arms:
        decides = {"arm": arm, "recipe": found["recipe_sha256"], "rungs": statuses}
        found["runtimes"].append({"id": _hash(plain(decides)), **plain(arm)})
    timeless = {**found, "rungs": [{k: v for k, v in r.items() if k != "wall_s"} for r in found["rungs"]]}
    return {
        "id": _hash(timeless),
        **found,
        "command": command,
        "started": started.isoformat(timespec="seconds"),
        "wall_s": round((datetime.now(UTC) - started).total_seconds(), 1),
    }


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


def markdown(found: Mapping[str, Any]) -> str:
    """Return the certificate as a page for people."""
    lines = [
        f"# Parity of {found['recipe']}: {found['status']}",
        "",
        f"Certificate `{found['id'][:16]}`, made by `{found['command']}` on {found['started']} "
        f"in {found['wall_s']:.0f} s. docs/method/parity.md explains each rung.",
        "",
    ]
    if found["first_failure"]:
        first = found["first_failure"]
        at = f" at `{first['where']}`" if first["where"] else ""
        lines += [f"First failure: rung {first['rung']} ({first['name']}), {first['check']}{at}.", ""]
    for rung in found["rungs"]:
        lines += [f"## {rung['number']}. {rung['name']}: {rung['status']}", ""]
        if rung["reason"]:
            lines += [rung["reason"], ""]
        if rung["checks"]:
            lines += ["| check | measured | bound | | where |", "|---|---|---|---|---|"]
            lines += [_row(check) for check in rung["checks"]] + [""]
    if found["runtimes"]:
        lines += [
            "## Runtimes",
            "",
            "| weights and exports of | runtime | mode | precision | | rmse to fp64 | bound | AP | dAP |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_runtime_row(arm) for arm in found["runtimes"]),
            "",
        ]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return "\n".join([*lines, f"Versions: {versions}.", ""])


def _row(check: Mapping[str, Any]) -> str:
    verdict = {True: "pass", False: "**fail**", None: "reported"}[check["passed"]]
    cells = (
        check["name"],
        _number(check["measured"]),
        _number(check["bound"]),
        verdict,
        check["where"] or "",
    )
    return "| " + " | ".join(cells) + " |"


def _runtime_row(arm: Mapping[str, Any]) -> str:
    interval = f" [{arm['dap_low']:+.3f}, {arm['dap_high']:+.3f}]" if arm.get("dap_low") is not None else ""
    dap = f"{arm['dap']:+.4f}{interval}" if arm.get("dap") is not None else (arm.get("reason") or "")
    ap = "" if arm.get("ap") is None else f"{arm['ap']:.3f}"
    axes = (arm["twin"], arm["runtime"], arm["mode"], arm["precision"], arm["status"])
    return "| " + " | ".join((*axes, _number(arm["rmse"]), _number(arm["bound"]), ap, dap)) + " |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
