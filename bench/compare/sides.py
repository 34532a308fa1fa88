"""What `compare` is given: a run folder or pytest-benchmark's JSON, read into figures by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.cells.cell import Cell
from bench.cells.scenarios import SCENARIOS, TIMED
from bench.compare import recipe_facts
from bench.machine.fingerprint import FLAGS
from bench.machine.identity import machine_of_run
from bench.parity import certificate
from bench.run import bench_file
from bench.run import results as results_
from bench.run.bench_file import NoiseFloor
from bench.run.results import CellResult
from bench.statistics.samples import geometric_mean
from bench.verdicts import ap_differences, noise_floor
from bench.verdicts import comparisons as comparisons_
from bench.verdicts.comparisons import Comparison
from pose.bootstrap import Matches
from pose.errors import UserError
from pose.files import read_json

BLOCKS = 10
"""pytest-benchmark's rounds follow each other in one process: their figures are medians of so many blocks."""


@dataclass(frozen=True)
class Measure:
    """What one side knows of one cell or benchmark."""

    id: str
    kind: str
    """`time` (less is faster), `rate` (more is faster) or `accuracy`."""
    unit: str
    values: tuple[float, ...] = ()
    """A figure a round."""
    trouble: str | None = None
    """Why it cannot be compared; None where it can."""
    doubts: str | None = None
    """What is flagged about it."""
    network: Mapping[str, Any] = field(default_factory=dict)
    """Which network it is of; two are compared only where none of these facts differs."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What it was given or scored on; two have a verdict only where none of these facts differs."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """By what it was made; the same goes for these, unless one artifact is in both."""
    artifact: str | None = None
    """The hash of what was measured."""
    first_look: int | None = None
    """The rounds at which the stopping rule of its protocol first looked; None for a fixed number."""
    matches: Callable[[], Matches | None] | None = None
    """Reads which predictions behind an accuracy are right; only where two accuracies are compared."""
    uncertified: str | None = None
    """Why no passed parity certificate covers its timing; None where one does."""
    replica: bool = False
    """Whether it is the second arm of an A/A pair."""
    supported: bool = True
    """Whether the machine can run it."""

    @property
    def figure(self) -> float:
        """Return what is printed and compared: the geometric mean over rounds, of an accuracy the last AP."""
        return self.values[-1] if self.kind == "accuracy" else geometric_mean(self.values)


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    name: str
    kind: str
    """`run` or `benchmarks`."""
    measures: dict[str, Measure]
    machine: dict[str, Any]
    """What must be the same for two timings to be compared; what is unknown is None."""
    environment: dict[str, Any]
    """What may differ, being perhaps what is compared: packages, Python, the operating system."""
    protocol: dict[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    """Of the cells of a run with each other."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """And its boxes, as recipe_facts.read gives them; {} where nothing is known."""
    resolution: float | None = None
    """The smallest difference that the run's bench can tell, as a fraction; None where no A/A pair told."""

    @property
    def first_look(self) -> int | None:
        """Return the rounds at which a stopping rule of the run looked first; None for a fixed number."""
        return min(filter(None, (one.first_look for one in self.measures.values())), default=None)


def read(path: Path) -> Side:
    """Return the side in a run folder or a JSON file; UserError where it is neither."""
    path = Path(path)
    if path.is_dir():
        return of_run(path)
    if path.is_file():
        return of_benchmarks(path)
    raise UserError(f"no {path}; expected a run folder with a bench, or a file of pytest's --benchmark-json")


def of_run(path: Path) -> Side:
    """Return what a run's bench measured; UserError for a run without one."""
    record, results = bench_file.required(path), results_.cells(path)
    machine, environment = machine_of_run(record.machine)
    uncertified = certificate.doubts(certificate.read(path), results)
    recipe = recipe_facts.read(path)
    return Side(
        name=str(path),
        kind="run",
        measures={
            one.id: _of_cell(path, recipe, one, record.noise, uncertified.get(one.id)) for one in results
        },
        machine=machine,
        environment=environment,
        protocol=_protocol(results) or record.matrix.protocol,
        cells=tuple(result.axes for result in results),
        comparisons=comparisons_.read(path) or (),
        recipe=recipe,
        resolution=noise_floor.with_sight(record.noise).resolution,
    )


def _protocol(results: Sequence[CellResult]) -> dict[str, Any]:
    """Return how the timed cells were measured; what they differ in as "3 and 7". {} of older versions."""
    found = [one.protocol for one in results if one.protocol and one.axes.scenario in TIMED]
    names = dict.fromkeys(name for one in found for name in one if name != "altered")
    values = {name: dict.fromkeys(str(one.get(name)) for one in found) for name in names}
    first = found[0] if found else {}
    return {
        name: first.get(name) if len(said) == 1 else " and ".join(sorted(said))
        for name, said in values.items()
    }


def _of_cell(
    run: Path, recipe: Mapping[str, Any], result: CellResult, noise: NoiseFloor, uncertified: str | None
) -> Measure:
    scenario = result.axes.scenario
    kind = {True: "time", False: "rate", None: "accuracy"}[SCENARIOS[scenario].less_is_faster]
    validity, trouble = result.validity, None
    values = round_values(result)
    if result.status != "ok":
        trouble = f"{result.status}: {result.reason}" if result.reason else result.status
    elif validity.verdict == "INVALID":
        trouble = f"INVALID: {'; '.join(validity.reasons)}"
    elif noise.verdict == "INVALID" and scenario in TIMED:
        trouble = f"the run is INVALID: {'; '.join(noise.reasons)}"
    elif not values:
        trouble = "no round has a figure"
    return Measure(
        id=result.id,
        kind=kind,
        unit=SCENARIOS[scenario].unit,
        values=values,
        trouble=trouble,
        doubts="; ".join(validity.reasons) if validity.verdict == "FLAGGED" else None,
        network=recipe_facts.network(recipe, result),
        inputs=recipe_facts.inputs(recipe, result),
        recipe=recipe_facts.recipe(recipe, result),
        artifact=result.artifact_sha256,
        first_look=result.first_look,
        matches=partial(ap_differences.matches, run, result) if kind == "accuracy" else None,
        uncertified=uncertified,
        replica=bool(result.axes.replica),
        supported=result.status != "unsupported",
    )


def round_values(result: CellResult) -> tuple[float, ...]:
    """Return the figure of each round of a cell that counts."""
    values = [one.value for one in result.counting if one.value is not None]
    timed = SCENARIOS[result.axes.scenario].timed
    return tuple(value for value in values if np.isfinite(value) and (value > 0 or not timed))


def of_benchmarks(path: Path) -> Side:
    """Return the benchmarks in a JSON file of pytest-benchmark; UserError for another file."""
    expected = "a file that 'pytest --benchmark-json=FILE' wrote"
    raw = read_json(path, expected)
    try:
        rows = {row["fullname"]: _of_benchmark(row) for row in raw["benchmarks"]}
        machine, environment = _machine_of_benchmarks(raw["machine_info"])
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{path} is no result of pytest-benchmark ({problem}); expected {expected}"
        ) from error
    return Side(str(path), "benchmarks", rows, machine, environment)


def _of_benchmark(row: Mapping[str, Any]) -> Measure:
    data = row["stats"].get("data")
    if not data:
        trouble = "no raw data; write it with --benchmark-json, or --benchmark-save-data"
        return Measure(row["fullname"], "time", "s", trouble=trouble)
    return Measure(row["fullname"], "time", "s", in_blocks(data))


def in_blocks(seconds: Sequence[float]) -> tuple[float, ...]:
    """Return the medians of BLOCKS successive stretches of a benchmark's rounds; few rounds as they are.

    Rounds of one process go up and down together; medians of stretches do less so, and the few
    rounds that something interrupted do not decide.
    """
    if len(seconds) < 2 * BLOCKS:
        return tuple(map(float, seconds))
    return tuple(float(np.median(block)) for block in np.array_split(np.asarray(seconds), BLOCKS))


def _machine_of_benchmarks(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    cpu = found.get("cpu") or {}
    machine = {
        "CPU": cpu.get("brand_raw"),
        "CPU features": " ".join(flag for flag in FLAGS if flag in cpu["flags"]) if "flags" in cpu else None,
        "logical cores": cpu.get("count"),
        "kernel": found.get("release"),
        "architecture": found.get("machine"),
    }
    return machine, {"OS": found.get("system"), "Python": found.get("python_version")}
