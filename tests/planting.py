"""Children that stay: a mistake is planted, an entry of a rung runs, and the mistake is taken back.

A framework takes seconds to start, and the mutation check asks twenty times. So one process a
twin serves a whole file of tests, and what a twin without a mistake gave is kept and given again.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.contract import plain
from bench.parity.rungs import probing
from bench.parity.rungs.base import Context, planted
from bench.process import environment
from bench.process.worker import resolve

OURS = ("pose", "tf_impl", "torch_impl")
"""The packages whose modules and classes a plant may change."""
ALONE = {
    "bench.parity.rungs.data:load",
    "bench.parity.rungs.probing:measure",
    "bench.parity.rungs.optimizer:lead",
    "bench.parity.rungs.optimizer:rates",
}
"""Entries whose outcome depends on no other child's: without a mistake they need to run only once."""
ALL = 4
"""Batches whose gradients rung 4 compares, of the ladder's ten."""


class Nursery:
    """One process a twin, and what was kept of the twins without a mistake, in a folder."""

    def __init__(self, folder: Path, threads: int):
        self.folder, self.threads = folder, threads
        self.processes: dict[str, ProcessPoolExecutor] = {}
        self.kept: dict[tuple[str, str, int], tuple[dict[str, Any], list[Path]]] = {}

    def call(
        self, who: str, plant: str | None, entry: str, payload: Mapping[str, Any], batches: int
    ) -> dict[str, Any]:
        """Return what `entry` gives under the mistake `plant`; it may write files into payload["folder"].

        batches: those whose gradients a probe measures.
        """
        if who not in self.processes:
            self.processes[who] = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                _start,
                (who, self.threads),
            )
        return self.processes[who].submit(_run, plant, entry, plain(payload), batches).result()

    def keep(self, who: str, entry: str, payload: Mapping[str, Any], batches: int) -> dict[str, Any]:
        """Return what `entry` gives without a mistake; the first time it runs, then its files are linked."""
        target = Path(payload.get("folder", self.folder))
        key = (who, entry, batches)
        shelf = self.folder / f"{entry}.{who}.{batches}".replace(":", ".")
        if key not in self.kept:
            before = set(target.rglob("*"))
            value = self.call(who, None, entry, payload, batches)
            made = [path for path in target.rglob("*") if path.is_file() and path not in before]
            names = [path.relative_to(target) for path in made]
            _link(target, shelf, names)
            self.kept[key] = value, names
        else:
            _link(shelf, target, self.kept[key][1])
        return self.kept[key][0]

    def close(self) -> None:
        """End the processes."""
        for process in self.processes.values():
            process.shutdown()


@dataclass(frozen=True)
class Planted(Context):
    """A context whose children of tf and torch are the nursery's."""

    nursery: Nursery = field(kw_only=True)
    batches: int = field(default=ALL, kw_only=True)
    """How many gradients are measured: none for rungs 2 and 3, one for a mistake that is in each."""

    def call(
        self,
        who: str,
        entry: str,
        payload: Mapping[str, Any],
        *,
        threads: int | None = None,
        env: Mapping[str, str] | None = None,
        device: str = "cpu",
    ) -> dict[str, Any]:
        """Return what `entry` gives under this context's mistake in `who`, if there is one."""
        if who == "shared":
            return super().call(who, entry, payload, threads=threads, env=env)
        plant = self.plants.get(who)
        batches = self.batches if entry == "bench.parity.rungs.probing:measure" else ALL
        # All gradients are gigabytes, and needed once.
        if (
            plant is None
            and entry in ALONE
            and (entry, batches) != ("bench.parity.rungs.probing:measure", ALL)
        ):
            return self.nursery.keep(who, entry, payload, batches)
        return self.nursery.call(who, plant, entry, payload, batches)

    def together(self, *tasks: Callable[[], Any]) -> list[Any]:
        """Return what each task gives, one after another: what a child leaves is told by what is new."""
        return [task() for task in tasks]


def _link(source: Path, target: Path, names: list[Path]) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).unlink(missing_ok=True)
        os.link(source / name, target / name)


def _start(who: str, threads: int) -> None:
    os.environ.update(environment.thread_environment(threads) | environment.PASSIVE | environment.ONEDNN)
    for module in (f"{who}_impl.probe", f"{who}_impl.data", "bench.parity.rungs.optimizer"):
        importlib.import_module(module)
    # TensorFlow takes the number of its threads before it first computes, and the loaders compute.
    resolve(f"{who}_impl.train:setup")("cpu", threads)


def _run(plant: str | None, entry: str, payload: dict[str, Any], batches: int) -> dict[str, Any]:
    resolve(entry)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].config.run_functions_eagerly(_is_eager(entry, batches))
    probing.STEP_SAMPLES = batches * probing.GRADIENT_BATCH
    with _taken_back():
        found = plain(
            planted({"plant": plant, "entry": entry, "payload": payload}, lambda name, fields: None)
        )
    # Networks lie in cycles: without this, each mistake's would stay.
    gc.collect()
    return found


def _is_eager(entry: str, batches: int) -> bool:
    """Return whether TensorFlow computes at once: to trace the tiny network takes it longer than to run it.

    Not where all gradients are judged, for eager ones round otherwise in float32, nor for the schedules, for
    a rate that a step keeps is kept by tracing.
    """
    brief = entry == "bench.parity.rungs.probing:measure" and batches < ALL
    return brief or entry == "bench.parity.rungs.optimizer:follow"


@contextlib.contextmanager
def _taken_back() -> Iterator[None]:
    """Put back what changes inside in our modules and classes."""
    before = [(owner, dict(vars(owner))) for owner in _owners()]
    try:
        yield
    finally:
        for owner, values in before:
            for name, value in values.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)


def _owners() -> list[ModuleType | type]:
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in OURS]
    classes = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    return [*modules, *classes]
