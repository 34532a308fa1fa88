"""What a climb of some rungs keeps of the certificate that it takes the place of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.parity.certificate import Parity, Status
from bench.parity.rungs.arms import Subject
from bench.run import artifacts

NOT_CLIMBED: Status = "not climbed"
LOST = "what was climbed before is of"


def kept(found: Parity, before: Parity, subjects: Sequence[Subject]) -> Parity:
    """Return a certificate with what the one `before` says of the rungs and arms that are not of it.

    subjects: whose artifacts are there now. Where the one before is of something else, nothing of it is
    kept, and the rungs say why. A rung that is kept says so, and names the command that climbed it and when.
    """
    other = changed(before, found, subjects)
    earlier = {rung.number: rung for rung in before.rungs if rung.status != NOT_CLIMBED}
    rungs = []
    for rung in found.rungs:
        stored = earlier.get(rung.number) if rung.status == NOT_CLIMBED else None
        if stored and other:
            rung = replace(rung, reason=f"{rung.reason}; {LOST} {other}")
        elif stored:
            command, started = stored.command or before.command, stored.started or before.started
            rung = replace(stored, kept=True, command=command, started=started)
        rungs.append(rung)
    now = {one.arm for one in found.runtimes}
    others = [one for one in before.runtimes if not other and one.arm not in now]
    return replace(found, rungs=tuple(rungs), runtimes=(*found.runtimes, *others))


def say(found: Parity, tell: Callable[[str], None]) -> None:
    """Tell which rungs of a new certificate were kept from the one before, and which were not and why."""
    if stay := [str(rung.number) for rung in found.rungs if rung.kept]:
        tell(f"kept from the certificate before: rungs {', '.join(stay)}")
    if lost := [(str(rung.number), rung.reason) for rung in found.rungs if LOST in (rung.reason or "")]:
        numbers, reasons = zip(*lost, strict=True)
        tell(f"not kept: rungs {', '.join(numbers)}: {str(reasons[0]).partition('; ')[2]}")


def changed(before: Parity, now: Parity, subjects: Sequence[Subject]) -> str | None:
    """Return in words what a certificate is of that another is not; None when all is the same.

    subjects: whose artifacts are there now.
    """
    if before.recipe_sha256 != now.recipe_sha256:
        return "another recipe"
    then, here = before.versions or {}, now.versions or {}
    named = [name for name in {**then, **here} if then.get(name) != here.get(name)]
    if named:
        said = (f"{name} {then.get(name, 'absent')}, now {here.get(name, 'absent')}" for name in named)
        return f"other versions ({', '.join(said)})"
    if _hashes(before) != _hashes(now):
        return "other weights"
    there = {(one.name, artifacts.artifact_sha256(path)) for one in subjects for path in _artifacts(one)}
    if not {(one.subject, one.artifact_sha256) for one in before.runtimes} <= there:
        return "other artifacts"
    return None


def _hashes(found: Parity) -> dict[str, str]:
    return {name: one["sha256"] for name, one in (found.weights or {}).items()}


def _artifacts(subject: Subject) -> list[Path]:
    """Return the files that rung 7 may have run of one set of weights."""
    return [subject.weights, *subject.exports.values()]
