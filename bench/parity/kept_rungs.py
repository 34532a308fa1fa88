"""What a climb of some rungs keeps of the certificate that it takes the place of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.parity.certificate import ARM, Status
from bench.parity.rungs.arms import Subject
from bench.run import artifacts

NOT_CLIMBED: Status = "not climbed"
LOST = "what was climbed before is of"


def rungs(
    climbed: Sequence[dict[str, Any]], before: Mapping[str, Any], other: str | None
) -> list[dict[str, Any]]:
    """Return the rungs of parity.json: those that were climbed, the others as `before` has them.

    other: what `before` is of that is not so now. Then nothing of it is kept, and the rungs say why.
    A rung that is kept says so, and names the command that climbed it and when.
    """
    made = {name: before.get(name) for name in ("command", "started")}
    earlier = {rung["number"]: rung for rung in before["rungs"] if rung["status"] != NOT_CLIMBED}
    found = []
    for rung in climbed:
        stored = earlier.get(rung["number"]) if rung["status"] == NOT_CLIMBED else None
        if stored and other:
            reason = f"{rung['reason']}; {LOST} {other}"
            found.append(rung | {"reason": reason})
        else:
            found.append(made | stored | {"kept": True} if stored else rung)
    return found


def say(found: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Tell which rungs of a new certificate were kept from the one before, and which were not and why."""
    stay = [str(rung["number"]) for rung in found["rungs"] if rung.get("kept")]
    if stay:
        tell(f"kept from the certificate before: rungs {', '.join(stay)}")
    lost = [rung for rung in found["rungs"] if LOST in (rung["reason"] or "")]
    if lost:
        numbers = ", ".join(str(rung["number"]) for rung in lost)
        tell(f"not kept: rungs {numbers}: {lost[0]['reason'].partition('; ')[2]}")


def others(before: Mapping[str, Any], run: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what rung 7 found before of the arms that were not run now.

    Without their ids: those are of the whole certificate.
    """
    now = [_arm(arm) for arm in run]
    earlier = [arm for arm in before["runtimes"] if _arm(arm) not in now]
    return [{name: value for name, value in arm.items() if name != "id"} for arm in earlier]


def _arm(arm: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(arm.get(name) for name in ARM)


def changed(before: Mapping[str, Any], of: Mapping[str, Any], subjects: Sequence[Subject]) -> str | None:
    """Return in words what a certificate is of that is not so now; None when all is the same.

    of: recipe_sha256, versions and weights, as parity.json has them, of what is climbed now;
    subjects: whose artifacts are there now.
    """
    if before.get("recipe_sha256") != of["recipe_sha256"]:
        return "another recipe"
    then, now = before.get("versions") or {}, of["versions"]
    named = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if named:
        said = (f"{name} {then.get(name, 'absent')}, now {now.get(name, 'absent')}" for name in named)
        return f"other versions ({', '.join(said)})"
    if _hashes(before["weights"]) != _hashes(of["weights"]):
        return "other weights"
    there = {(one.name, artifacts.artifact_sha256(path)) for one in subjects for path in _artifacts(one)}
    if not {(arm["subject"], arm["artifact_sha256"]) for arm in before["runtimes"]} <= there:
        return "other artifacts"
    return None


def _hashes(described: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: one["sha256"] for name, one in described.items()}


def _artifacts(subject: Subject) -> list[Path]:
    """Return the files that rung 7 may have run of one set of weights."""
    return [subject.weights, *subject.exports.values()]
