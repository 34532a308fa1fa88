"""Which processors parent and child sit on, where there are cores to spare for the parent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.machine import fingerprint


@dataclass(frozen=True)
class Cores:
    """The physical cores that this process may use, each as its logical processors."""

    groups: tuple[frozenset[int], ...]

    @staticmethod
    def mine() -> Cores:
        """Return the cores of this process as it is now."""
        found = fingerprint.physical_cores(fingerprint.affinity())
        return Cores(tuple(frozenset(processors) for processors in found.values()))

    @property
    def spared(self) -> frozenset[int] | None:
        """Return the processors of the core that the parent waits on; None where there is only one core."""
        return self.groups[-1] if len(self.groups) > 1 and hasattr(os, "sched_setaffinity") else None

    def for_child(self, threads: int) -> tuple[int, ...] | None:
        """Return the processors of a child with so many threads: all but the parent's core, if those do.

        Otherwise all, said in full: a child would inherit its parent's, and the parent sits on one core.
        None where the system knows no affinity.
        """
        if not hasattr(os, "sched_setaffinity"):
            return None
        groups = self.groups[:-1] if len(self.groups) > threads else self.groups
        return tuple(sorted(processor for group in groups for processor in group))

    @contextmanager
    def parent_aside(self) -> Iterator[None]:
        """Keep this process on the spared core while it waits for children; put it back afterwards."""
        if self.spared is None:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.spared)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
