"""The certificate as a file: parity.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cells import runtimes
from bench.contract import plain
from bench.parity import kept_rungs
from bench.parity.certificate import NEEDED, Certificate, Parity, Rung, packages_of
from bench.parity.rungs.arms import Subject
from bench.parity.rungs.base import Context
from bench.parity.weight_hashes import describe_weights
from pose.files import sha256_of_bytes, write_json


def document(
    context: Context,
    rungs: Sequence[Rung],
    arms: Sequence[Certificate],
    subjects: Sequence[Subject],
    command: str,
    started: datetime,
    before: Parity | None = None,
) -> Parity:
    """Return the content of parity.json; its ids are hashes of all but times, commands and machine.

    before: the certificate that this one takes the place of. Rungs that were not climbed and arms that were
    not run keep what it says, if it is of the same recipe, versions, weights and artifacts.
    """
    model = context.recipe.model_dump(mode="json", include={"data", "model", "training"})
    began = started.isoformat(timespec="seconds")
    found = Parity(
        id="",
        recipe=context.recipe.name,
        recipe_sha256=_hash(model),
        status="pass",
        versions={name: number for name, number in runtimes.versions().items() if number},
        rungs=tuple(
            one if one.status == kept_rungs.NOT_CLIMBED else replace(one, command=command, started=began)
            for one in rungs
        ),
        weights={subject.name: describe_weights(subject.weights) for subject in subjects},
        runtimes=tuple(arms),
        command=command,
        started=began,
    )
    if before is not None:
        found = kept_rungs.kept(found, before, subjects)
    failed = next((one.failure for one in found.rungs if one.failure), None)
    found = replace(
        found,
        status="fail" if failed else "unsupported" if found.of("unsupported") else "pass",
        first_failure=failed,
        runtimes=tuple(replace(one, id=_arm_id(one, found)) for one in found.runtimes),
    )
    timeless = {name: value for name, value in as_json(found).items() if name not in ("id", *TIMES)}
    timeless["rungs"] = [
        {name: value for name, value in rung.items() if name not in TIMES} for rung in timeless["rungs"]
    ]
    wall_s = round((datetime.now(UTC) - started).total_seconds(), 1)
    return replace(found, id=_hash(timeless), wall_s=wall_s)


TIMES = ("wall_s", "command", "started", "kept")
"""What says when and how a ladder, or a rung of it, was climbed."""


def _arm_id(arm: Certificate, found: Parity) -> str:
    """Return the hash of what one certificate rests on; a rung that no timing needs counts when it failed."""
    statuses = {rung.number: rung.status for rung in found.rungs}
    decides = {
        "arm": plain(arm.facts()),
        "recipe": found.recipe_sha256,
        "rungs": {n: status for n, status in statuses.items() if n in NEEDED or status == "fail"},
        "versions": {n: (found.versions or {}).get(n) for n in packages_of(arm.runtime, arm.twin)},
    }
    return _hash(decides)


def as_json(found: Parity) -> dict[str, Any]:
    """Return a certificate as parity.json has it."""
    said: dict[str, Any] = plain(asdict(found))
    return said


def _hash(value: Any) -> str:
    return sha256_of_bytes(json.dumps(value, sort_keys=True).encode())


def write(found: Parity, folder: Path) -> None:
    """Write parity.json into `folder`, whole or not at all."""
    # A page of an earlier certificate would be taken for this one's.
    (folder / "parity.md").unlink(missing_ok=True)
    write_json(folder / "parity.json", as_json(found))
