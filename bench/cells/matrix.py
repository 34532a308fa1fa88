"""A matrix: from a YAML of blocks, whose axes multiply out, to cells."""

from __future__ import annotations

import itertools
import shlex
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from bench.cells.cell import TWINS, Cell
from bench.cells.protocol import Protocol
from bench.cells.runtimes import DEVICES, MODES, PRECISIONS, RUNTIMES
from bench.cells.scenarios import SCENARIOS
from bench.machine import fingerprint
from pose import recipe, strict_yaml
from pose.errors import UserError
from pose.files import sha256_of_bytes
from pose.mistakes import explain
from pose.section import Positive, Section

T = TypeVar("T")
Many = Annotated[
    tuple[T, ...], Field(min_length=1), BeforeValidator(lambda v: v if isinstance(v, list) else [v])
]
"""One value or a list of them."""


def _one_of(known: Collection[str], given: Any) -> Any:
    """Return what is given; ValueError, worded as of a pydantic Literal, where the table does not know it."""
    if given not in tuple(known):
        *rest, last = map(repr, known)
        raise ValueError(f"Input should be {', '.join(rest)} or {last}")
    return given


RuntimeName = Annotated[str, BeforeValidator(partial(_one_of, RUNTIMES))]
ScenarioName = Annotated[str, BeforeValidator(partial(_one_of, SCENARIOS))]


class Block(Section):
    """Axes that multiply out to cells; each is one value or a list."""

    twin: Many[Annotated[str, BeforeValidator(partial(_one_of, TWINS))]]
    runtime: Many[RuntimeName]
    mode: Many[Annotated[str, BeforeValidator(partial(_one_of, MODES))]]
    precision: Many[Annotated[str, BeforeValidator(partial(_one_of, PRECISIONS))]] = ("fp32",)
    device: Many[Annotated[str, BeforeValidator(partial(_one_of, DEVICES))]] = ("cpu",)
    batch: dict[ScenarioName, Many[Positive]]
    """By scenario; one value or list stands for all of the block's scenarios."""
    threads: Many[Positive | Literal["all"]] = ("all",)
    """`all`: every physical core within the quota of the machine that measures."""
    allocator: Many[Literal["glibc", "tuned"]] = ("glibc",)
    scenario: Many[ScenarioName]

    @model_validator(mode="before")
    @classmethod
    def _one_batch_for_all(cls, given: Any) -> Any:
        if isinstance(given, dict) and not isinstance(given.get("batch", {}), dict):
            return {**given, "batch": dict.fromkeys(SCENARIOS, given["batch"])}
        return given

    @model_validator(mode="after")
    def _cells_exist(self) -> Block:
        for scenario in self.scenario:
            if scenario not in self.batch:
                raise ValueError(f"batch names no size for the scenario '{scenario}'")
        for runtime, mode in itertools.product(self.runtime, self.mode):
            known = RUNTIMES[runtime].modes
            if mode not in known:
                raise ValueError(f"runtime '{runtime}' has no mode '{mode}'; it has: {', '.join(known)}")
        for runtime, twin in itertools.product(self.runtime, self.twin):
            if not RUNTIMES[runtime].runs(twin):
                raise ValueError(
                    f"runtime '{runtime}' cannot run the twin '{twin}'; put it in a block of its own"
                )
        return self

    def cells(self, cores: int) -> Iterator[Cell]:
        """Yield the block's cells, the last axis fastest; `all` threads are `cores`."""
        axes = (self.twin, self.runtime, self.mode, self.precision, self.device)
        rest = (self._thread_counts(cores), self.allocator, self.scenario)
        for twin, runtime, mode, precision, device in itertools.product(*axes):
            for threads, allocator, scenario in itertools.product(*rest):
                for batch in self.batch[scenario]:
                    yield Cell(twin, runtime, mode, precision, device, batch, threads, allocator, scenario)

    def _thread_counts(self, cores: int) -> list[int]:
        named = [count for count in self.threads if count != "all"]
        # On a machine of one core, `[1, all]` is one lane and no mistake.
        return [*named, cores] if "all" in self.threads and cores not in named else named


class Place(Section):
    """Where a runtime's cells are run; a string alone is the interpreter."""

    python: str | None = None
    """The Python of an environment of its own; None for this one."""
    env: dict[str, str] = Field(default_factory=dict)
    """Variables laid over those of the lane."""
    folder: str | None = None
    """The working folder."""

    @property
    def key(self) -> str | None:
        """Return a hash that tells this place from others; None for this process's own environment."""
        said = self.model_dump_json()
        return None if said == Place().model_dump_json() else sha256_of_bytes(said.encode())


class File(Section):
    """The YAML of a matrix."""

    name: str
    protocol: Protocol = Field(default_factory=lambda: Protocol.model_validate({}))
    interpreters: dict[
        RuntimeName, Annotated[Place, BeforeValidator(lambda v: {"python": v} if isinstance(v, str) else v)]
    ] = Field(default_factory=dict)
    """Runtimes that live in an environment of their own: an interpreter's path, or a Place."""
    defaults: dict[str, Any] = Field(default_factory=dict)
    """Axes of every block that does not name them."""
    blocks: Annotated[list[Block], Field(min_length=1)]


@dataclass(frozen=True)
class Matrix:
    """Cells and how they are measured."""

    name: str
    protocol: Protocol
    cells: tuple[Cell, ...]
    places: dict[str, Place] = field(default_factory=dict)
    profile_given: str | None = None
    """The profile that was asked for instead of the matrix's own."""
    options: tuple[str, ...] = ()
    """What `twinpose bench RUN` is given to measure these cells by this protocol."""

    @property
    def interpreters(self) -> dict[str, str]:
        """Return the Python of each runtime that has one of its own."""
        return {runtime: place.python for runtime, place in self.places.items() if place.python}

    @property
    def flag(self) -> str:
        """Return " --matrix NAME", as verbs are given it; "" for a recipe's own."""
        given = dict(itertools.pairwise(self.options)).get("--matrix")
        return f" --matrix {shlex.quote(given)}" if given else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the matrix as JSON: name, protocol, the cells' IDs."""
        cells = [cell.id for cell in self.cells]
        protocol, altered = self.protocol.model_dump(), self.protocol.altered
        return {
            "name": self.name,
            "protocol": protocol,
            **({"altered": altered} if altered else {}),
            "cells": cells,
        }


def with_profile(matrix: Matrix, profile: str) -> Matrix:
    """Return the matrix measured by another profile; images and time limit stay the matrix's own."""
    kept = matrix.protocol.model_dump(include={"images", "timeout_s"})
    protocol = Protocol.model_validate({"profile": profile, **kept})
    return replace(matrix, protocol=protocol, profile_given=profile)


def with_tries(matrix: Matrix, tries: int) -> Matrix:
    """Return the matrix with at most so many tries of a disturbed round."""
    return replace(matrix, protocol=matrix.protocol.model_copy(update={"tries": tries}))


def load(name_or_path: str, *, cores: int | None = None) -> Matrix:
    """Return the matrix of a shipped name ("demo") or of a YAML's path; `cores` is what `all` threads means.

    Raises UserError for a missing file, malformed YAML, an unknown key, a wrong value or a cell named twice.
    """
    path = recipe.find(name_or_path, "matrices")
    raw = strict_yaml.read(path, "a matrix")
    return from_dict(raw, source=str(path), cores=cores)


def from_dict(raw: Any, source: str = "matrix", *, cores: int | None = None) -> Matrix:
    """Return the matrix in a plain dict; UserError names `source` and the first wrong key."""
    if not isinstance(raw, dict):
        raise UserError(
            f"{source} holds a {type(raw).__name__}; expected a matrix (a mapping with 'name' and 'blocks')"
        )
    try:
        file = File.model_validate(_with_defaults(raw))
    except ValidationError as error:
        raise UserError(f"{source}: {explain(error, File)}") from error
    count = fingerprint.usable_cores() if cores is None else cores
    cells = tuple(cell for block in file.blocks for cell in block.cells(count))
    twice = [name for name, times in Counter(cell.id for cell in cells).items() if times > 1]
    if twice:
        raise UserError(f"{source}: the cell {twice[0]} is named twice; expected each once")
    return Matrix(file.name, file.protocol, cells, {str(k): v for k, v in file.interpreters.items()})


def on_device(matrix: Matrix, device: str) -> Matrix:
    """Return the matrix with its CPU cells on `device`; those stay that do not exist there.

    OpenVINO knows no CUDA, and a loader ends in host memory.
    """
    moved = [
        replace(cell, device=device) if cell.device == "cpu" and _exists(cell, device) else cell
        for cell in matrix.cells
    ]
    return replace(matrix, cells=tuple({cell.id: cell for cell in moved}.values()))


def _exists(cell: Cell, device: str) -> bool:
    return device in RUNTIMES[cell.runtime].devices and SCENARIOS[cell.scenario].on(device)


def _with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    defaults, blocks = raw.get("defaults"), raw.get("blocks")
    if not isinstance(defaults, dict) or not isinstance(blocks, list):
        return raw
    return {
        **raw,
        "blocks": [{**defaults, **block} if isinstance(block, dict) else block for block in blocks],
    }
