"""bench.json: what the benches of a run noted beside its cells."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.run import results as results_
from bench.run.folder import RunFolder
from bench.run.results import BenchFacts, json_object
from pose.errors import UserError
from pose.files import read_json, write_json


def read_facts(run: Path) -> dict[str, Any]:
    """Return bench.json of a run; the least of it before its first bench."""
    path = run / "bench" / "bench.json"
    found = read_json(path, "what 'twinpose bench' wrote") if path.exists() else {}
    return found if isinstance(found, dict) else {}


def profiles(run: Path) -> dict[str, str]:
    """Return the profile that was last asked for instead of a matrix's own, by the matrix's name."""
    found = read_facts(run).get("profiles")
    return {str(k): str(v) for k, v in found.items() if v} if isinstance(found, dict) else {}


def note(run: RunFolder, **fields: Any) -> None:
    """Put fields into bench.json; `sitting` begins one and `ended` ends it."""
    found = {"schema": results_.SCHEMA, "sittings": [], **read_facts(run.path)}
    begun, ended = fields.pop("sitting", None), fields.pop("ended", None)
    if begun:
        found["sittings"] = [*found["sittings"], begun]
        found["started"] = begun["started"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found["sittings"] = [{**s, "ended": now} if s["id"] == ended else s for s in found["sittings"]]
    write_json(run.path / "bench" / "bench.json", {**found, **fields, "schema": results_.SCHEMA})


def bench_facts(run: Path) -> dict[str, Any]:
    """Return bench/bench.json: the matrix and the machine; UserError before the first bench."""
    path = Path(run) / "bench" / "bench.json"
    found = json_object(
        path, f"a run folder with a bench; 'twinpose bench {shlex.quote(str(run))}' makes one"
    )
    try:
        msgspec.convert(found, BenchFacts)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not as it was written ({error}); bench again") from error
    return found
