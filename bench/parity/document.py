"""The certificate as a file: parity.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cells import runtimes
from bench.contract import plain
from bench.parity import kept_rungs
from bench.parity.certificate import NEEDED, SCHEMA, Rung, failure, packages_of
from bench.parity.rungs.arms import Subject
from bench.parity.rungs.base import Context
from bench.parity.weight_hashes import describe_weights
from pose.files import sha256_of_bytes, write_json


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
    versions = {name: number for name, number in runtimes.versions().items() if number}
    of = {
        "recipe_sha256": _hash(model),
        "versions": versions,
        "weights": {subject.name: describe_weights(subject.weights) for subject in subjects},
    }
    whole = [plain(asdict(rung)) | ({} if rung.status == kept_rungs.NOT_CLIMBED else made) for rung in rungs]
    deployed = [plain(arm) for arm in arms]
    if before is not None:
        other = kept_rungs.changed(before, of, subjects)
        whole = kept_rungs.rungs(whole, before, other)
        if other is None:
            deployed += kept_rungs.others(before, deployed)
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


def write(found: Mapping[str, Any], folder: Path) -> None:
    """Write parity.json into `folder`, whole or not at all."""
    # A page of an earlier certificate would be taken for this one's.
    (folder / "parity.md").unlink(missing_ok=True)
    write_json(folder / "parity.json", found)
