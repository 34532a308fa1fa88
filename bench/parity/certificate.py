"""What a certificate says: which rungs a timing needs, what counts as proven, what was altered since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cells.runtimes import RUNTIMES
from bench.cells.scenarios import SCENARIOS
from pose import weights
from pose.files import sha256_of_file

CERTIFIED = ("pass", "reported")
"""What a certificate may say: a lower precision is reported, with its AP difference, and not judged."""

SCHEMA = 1


NEEDED = frozenset(number for one in SCENARIOS.values() for number in one.rungs)
"""What some timing needs."""


def packages_of(runtime: str, twin: str) -> tuple[str, ...]:
    """Return the packages that have a part in an arm: its runtime's and the twin's own framework's."""
    return tuple(dict.fromkeys((*RUNTIMES[runtime].packages, *RUNTIMES[twin].packages)))


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


LEAST_AP = 0.2
"""Of a source: below, AP moves with a handful of predictions and says nothing about a runtime."""


def says_nothing(ap: float, dap: float) -> bool:
    """Return whether the source's AP, which is `ap` less `dap`, is too low for AP to say anything."""
    # A last bit that the subtraction rounds does not decide.
    return round(ap - dap, 9) < LEAST_AP


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
