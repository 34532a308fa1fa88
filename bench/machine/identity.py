"""What makes two fingerprints those of one machine, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

IDENTITY = ("CPU", "CPU features", "usable cores", "GPUs", "architecture")
"""What two fingerprints of one machine share, by `bench.machine.identity.machine_of_run`'s names."""


def machine_of_run(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the machine and the environment in a fingerprint of bench.machine.fingerprint."""
    cpu = found.get("cpu", {})
    limit = found.get("memory_limit_bytes") or found.get("memory_bytes")
    gpus = [f"{g.get('name')} (driver {g.get('driver')})" for g in found.get("gpus", [])]
    machine = {
        "CPU": cpu.get("model"),
        "CPU features": " ".join(cpu["flags"]) if "flags" in cpu else None,
        "usable cores": cpu.get("usable_cores"),
        "memory": f"{limit / 2**30:.0f} GiB" if limit else None,
        "GPUs": (", ".join(gpus) or "none") if "gpus" in found else None,
        "kernel": found.get("kernel"),
        "architecture": found.get("arch"),
    }
    environment = {"OS": found.get("os"), "Python": found.get("python"), "preload": found.get("preload")}
    return machine, environment | found.get("packages", {})


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return [{"what", "a", "b"}] of the facts that are not the same.

    A fact that only one of them has a name for, such as a package added since, counts as absent there.
    """
    names: Iterable[str] = dict.fromkeys([*a, *b])
    return [
        {"what": name, "a": a.get(name), "b": b.get(name)} for name in names if a.get(name) != b.get(name)
    ]


def known_to_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the `differing` facts that both know; what one of them does not tell is taken for the same."""
    return [one for one in differing(a, b) if None not in (one["a"], one["b"])]
