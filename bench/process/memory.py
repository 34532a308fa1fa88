"""What a child and the processes below it hold together, seen from outside."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import psutil

from bench.machine import fingerprint, procfs

GROWN = 1.02
"""A look at proportional memory walks every page (13 ms a GiB), so it is taken only when so much more is
resident than at the last one: while processes fill up, not while they are measured."""


@dataclass
class MemoryWatch:
    """The most memory that a process and those below it were seen to hold."""

    pid: int
    rss_bytes: int = 0
    """Resident, summed over the processes: a page that several share counts once for each."""
    pss_bytes: int | None = None
    """Proportional (proc(5), smaps_rollup), of several processes together: a page that n of them share counts
    1 / n for each. None while there was but one process, and where the system does not tell it."""
    several: bool = False
    """Whether there were ever several processes."""
    looked_at: float = 0.0
    """The resident bytes at the last look at proportional ones."""

    def look(self, limit_bytes: float) -> int:
        """Look once; return the bytes to hold against the limit: proportional ones where they are told."""
        resident = _resident(self.pid)
        together = sum(resident.values())
        self.rss_bytes = max(self.rss_bytes, together)
        self.several |= len(resident) > 1
        if len(resident) < 2 or together <= min(GROWN * self.looked_at, limit_bytes):
            return together  # alone, or below the limit however it is counted
        self.looked_at = together
        shared = _proportional(resident)
        if shared is None:
            return together
        self.pss_bytes = max(shared, self.pss_bytes or 0)
        return shared


def _resident(root: int) -> dict[int, int]:
    """Return the resident bytes of a process and of those below it, by process ID."""
    found = {}
    with suppress(psutil.Error):
        for process in [psutil.Process(root), *fingerprint.descendants(root)]:
            with suppress(psutil.Error):
                found[process.pid] = int(process.memory_info().rss)
    return found


def _proportional(resident: dict[int, int]) -> int | None:
    """Return the proportional bytes of processes together; None where no process's are told.

    One whose are not told, having ended just now, counts as it was resident.
    """
    told = {pid: pss_bytes(pid) for pid in resident}
    if all(size is None for size in told.values()):
        return None
    return sum(resident[pid] if size is None else size for pid, size in told.items())


def pss_bytes(pid: int) -> int | None:
    """Return the proportional set size of a process; None where the system does not tell it."""
    kib = procfs.fields(procfs.read(f"proc/{pid}/smaps_rollup")).get("Pss")
    return None if kib is None else kib * 1024
