"""What the control groups let this process use: of every level of its own cgroup the tightest binds.

Both versions are read, and a system that has both: version 2 knows one path for all controllers, version 1
a path for each. Source: cgroups(7), and cgroup-v1 and cgroup-v2 in the kernel's admin guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.machine import procfs

MOUNTS = "sys/fs/cgroup"
"""Where the hierarchies are mounted, if /proc/self/mountinfo does not tell."""
NO_LIMIT_BYTES = 2**62
"""Version 1 writes "none" as the largest number of pages, just below 2^63."""
CPUSETS = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")
"""What is left of a cpuset, in version 2 and 1, and what was asked, where that is all that is told."""


def quota_cores() -> float | None:
    """Return the tightest processor quota of any level, in cores; None without one."""
    pairs = [told.split() for told in _texts(None, "cpu.max")]
    quotas, periods = (_texts("cpu", f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    pairs += [[quota, period] for quota, period in zip(quotas, periods, strict=True)]
    told = [(procfs.whole(pair[0]), procfs.whole(pair[1])) for pair in pairs if len(pair) == 2]
    return min((quota / period for quota, period in told if quota and period), default=None)


def throttled_s() -> float | None:
    """Return how long quotas have held tasks back, summed over all levels; None without a quota or a count.

    Each level counts what its own quota did, so the sum grows when any of them binds.
    """
    if quota_cores() is None:
        return None
    version_2 = _counts(None, "cpu.stat", "throttled_usec")
    version_1 = _counts("cpu", "cpu.stat", "throttled_time")
    seconds = [*(count / 1e6 for count in version_2), *(count / 1e9 for count in version_1)]
    return sum(seconds) if seconds else None


def memory_limit_bytes() -> int | None:
    """Return the least memory limit of any level; None without one."""
    told = [*_texts(None, "memory.max"), *_texts("memory", "memory.limit_in_bytes")]
    found = [limit for limit in map(procfs.whole, told) if limit is not None]
    # Of all levels, those above what is mounted here too.
    found += _counts("memory", "memory.stat", "hierarchical_memory_limit")
    return min((limit for limit in found if limit < NO_LIMIT_BYTES), default=None)


def processors() -> set[int] | None:
    """Return the logical processors that the cpusets of all levels leave; None where none is told."""
    found: set[int] | None = None
    for level in [*_levels(None), *_levels("cpuset")]:
        lists = (procfs.processors(procfs.text(level / name)) for name in CPUSETS)
        if told := next(filter(None, lists), None):
            found = told if found is None else found & told
    return found


def _texts(controller: str | None, name: str) -> list[str]:
    """Return a file's text at every level, "" where a level has no such file."""
    return [procfs.text(level / name) for level in _levels(controller)]


def _counts(controller: str | None, name: str, field: str) -> list[int]:
    """Return a field of a file of "name number" lines at every level that has it."""
    told = [procfs.fields(text) for text in _texts(controller, name)]
    return [counts[field] for counts in told if field in counts]


def _levels(controller: str | None) -> list[Path]:
    """Return the folders of this process's cgroup and of those around it, as far as they are mounted.

    controller: of version 1; None asks for version 2. A level is given once, however often it is mounted.
    """
    own = _own_path(controller)
    found: dict[tuple[int, int], Path] = {}
    for mounted, top in _mounts(controller):
        parts = _below(mounted, top, own)
        for level in (mounted.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)):
            with suppress(OSError):
                seen = level.stat()
                found.setdefault((seen.st_dev, seen.st_ino), level)
    return list(found.values())


def _own_path(controller: str | None) -> str:
    """Return this process's path in a hierarchy; "/" where the system does not tell."""
    for line in procfs.read("proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(",") if controller else number == "0" and not controllers:
            return path
    return "/"


def _mounts(controller: str | None) -> list[tuple[Path, str | None]]:
    """Return where a hierarchy is mounted and which of its cgroups is on top there; None if unknown."""
    if told := list(_mountinfo(controller)):
        return told
    home = procfs.SYSTEM / MOUNTS
    if controller is None:
        return [(home, None), (home / "unified", None)]
    # Controllers that are mounted together make one folder, such as cpu,cpuacct.
    try:
        return [(path, None) for path in sorted(home.iterdir()) if controller in path.name.split(",")]
    except OSError:
        return []


def _mountinfo(controller: str | None) -> Iterator[tuple[Path, str | None]]:
    """Yield what proc(5) says: id parent device root mount-point options ... - type source options."""
    for line in procfs.read("proc/self/mountinfo").splitlines():
        mount, _, system = (part.split() for part in line.partition(" - "))
        if len(mount) < 5 or len(system) < 3:
            continue
        asked = controller in system[2].split(",") if controller else True
        if asked and system[0] == ("cgroup" if controller else "cgroup2"):
            yield procfs.SYSTEM / mount[4].lstrip("/"), mount[3]


def _below(mounted: Path, top: str | None, own: str) -> list[str]:
    """Return the way from a mount down to this process's cgroup; [] where it does not lie below the mount.

    A container without a cgroup namespace has the host's path, and mounts the end of it or nothing. Where
    the mount's own path is unknown, that end is the longest that is there.
    """
    parts = [part for part in own.split("/") if part]
    if ".." in parts:
        return []
    if top is not None:
        above = [part for part in top.split("/") if part]
        return parts[len(above) :] if parts[: len(above)] == above else []
    ends = (parts[start:] for start in range(len(parts)))
    return next((end for end in ends if mounted.joinpath(*end).is_dir()), parts)
