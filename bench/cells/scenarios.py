"""The one table of scenarios: a row has all that is known of one, and the rest of the suite looks it up here.

A scenario is added as one row, and as the workload in `bench.scenarios` that the row names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.cells.cell import Cell
from bench.cells.runtimes import RUNTIMES

MeasuredPart = Literal["network", "pipeline", "step", "loader", "predictions"]
"""Of a run: the network alone; all from bytes to keypoints; a twin's own training step; a twin's own loader;
what the network predicts."""

OF_A_NETWORK = (2, 3, 4, 5, 7)
"""The rungs that a timing of a network needs. Rung 1 is about loaders, 6 about drift and 8 about scoring; but
any rung that was climbed and failed fails the certificate."""

TRAINING_PRECISION = {"fp32": "float32", "bf16": "mixed_bfloat16"}
"""A cell's precision as a recipe's training calls it."""


@dataclass(frozen=True)
class Only:
    """The values of an axis that a scenario exists for, and why it does for no other."""

    axis: Literal["precision", "device"]
    values: tuple[str, ...]
    reason: str
    """What is said of another value, which stands for {}."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What a cell can be asked: a row of the table."""

    name: str
    workload: str
    """"module:name" of what is measured; resolved inside the child alone. Where it is timed a
    `bench.scenarios.base.Workload`, else a function of the job that returns what it found."""
    of: MeasuredPart
    """The part of a run that it measures."""
    unit: str
    """Of its value."""
    figure: str
    """Where its value stands among a cell's figures."""
    less_is_faster: bool | None = None
    """Whether its value is a time or else a rate; None for what is not timed."""
    rungs: tuple[int, ...] = ()
    """Of the parity ladder: those that must have passed, where it means something only if the twins are the
    same thing. () for what needs no certificate."""
    unproven: str | None = None
    """Why a cell below fp32 has no certificate, though rung 7 reports its inference; {} is its precision."""
    only: tuple[Only, ...] = ()
    """Where it exists; everywhere but there."""
    loadgen: tuple[str, ...] = ()
    """The scenarios of MLPerf that LoadGen drives its runner through, in this order."""

    @property
    def timed(self) -> bool:
        """Return whether it is timed; what is not is scored."""
        return self.less_is_faster is not None

    @property
    def of_framework(self) -> bool:
        """Return whether it measures what a twin's own framework alone has: its step or its loader."""
        return self.of in {"step", "loader"}

    @property
    def counted(self) -> str | None:
        """Return what a rate counts in a second, as images; None for what is no rate."""
        return self.unit.removesuffix("/s") if self.less_is_faster is False else None

    @property
    def runs_network(self) -> bool:
        """Return whether the network has a part in it."""
        return self.of != "loader"

    def on(self, device: str) -> bool:
        """Return whether it exists on a device."""
        return all(device in one.values for one in self.only if one.axis == "device")


LATENCY = Scenario(
    name="latency",
    workload="bench.scenarios.network:Latency",
    of="network",
    unit="ms",
    figure="latency_ms",
    less_is_faster=True,
    rungs=OF_A_NETWORK,
    loadgen=("SingleStream", "Server"),
)

THROUGHPUT = Scenario(
    name="throughput",
    workload="bench.scenarios.network:Throughput",
    of="network",
    unit="images/s",
    figure="images_per_s",
    less_is_faster=False,
    rungs=OF_A_NETWORK,
    loadgen=("Offline",),
)

PIPELINE = Scenario(
    name="pipeline",
    workload="bench.scenarios.pipeline:Pipeline",
    of="pipeline",
    unit="ms",
    figure="latency_ms",
    less_is_faster=True,
    rungs=OF_A_NETWORK,
)

TRAIN = Scenario(
    name="train",
    workload="bench.scenarios.training:TrainingSteps",
    of="step",
    unit="steps/s",
    figure="steps_per_s",
    less_is_faster=False,
    rungs=OF_A_NETWORK,
    unproven="rungs 4 and 5 prove training in float32 and float64 alone, not in {}",
    only=(
        Only(
            "precision",
            tuple(TRAINING_PRECISION),
            f"the twins train in {' and '.join(TRAINING_PRECISION)} (a recipe's training.precision), "
            "not in {}",
        ),
        Only("device", ("cpu", "cuda"), "the twins train on cpu and cuda, not on {}"),
    ),
)

DATA = Scenario(
    name="data",
    workload="bench.scenarios.data:DataLoading",
    of="loader",
    unit="samples/s",
    figure="samples_per_s",
    less_is_faster=False,
    rungs=(1,),
    only=(
        Only(
            "precision", ("fp32",), "a loader makes uint8 and float32 alone; expected precision fp32, not {}"
        ),
        Only("device", ("cpu",), "a loader ends in host memory; expected device cpu, not {}"),
    ),
)

ACCURACY = Scenario(
    name="accuracy", workload="bench.scenarios.accuracy:accuracy", of="predictions", unit="AP", figure="AP"
)

SCENARIOS = {one.name: one for one in (LATENCY, THROUGHPUT, PIPELINE, TRAIN, DATA, ACCURACY)}
"""By name, in the order of tables."""

TIMED = tuple(one.name for one in SCENARIOS.values() if one.timed)


def why_not(cell: Cell) -> str | None:
    """Return why a cell's scenario does not exist for its runtime, mode, precision or device, or None.

    Whether this machine has the device, and the runtime the precision, only the runtime can say.
    """
    asked, runtime = SCENARIOS[cell.scenario], RUNTIMES[cell.runtime]
    if asked.of_framework:
        if not runtime.is_framework:
            own = " and ".join(one.name for one in RUNTIMES.values() if one.is_framework)
            return f"{runtime.name} only infers: '{asked.name}' is for the twins' own frameworks, {own}"
        if not runtime.runs(cell.twin):
            return f"{runtime.name} cannot train or feed the twin {cell.twin}; expected its own framework"
        if cell.mode != runtime.as_shipped:
            only = runtime.as_shipped
            return f"the twin {cell.twin} trains and loads in mode {only} alone, not in {cell.mode}"
    values = {"precision": cell.precision, "device": cell.device}
    barred = (one for one in asked.only if values[one.axis] not in one.values)
    return next((one.reason.format(values[one.axis]) for one in barred), None)
