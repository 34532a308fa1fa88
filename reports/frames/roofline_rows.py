"""Where a cell lies below the machine's roof: its arithmetic a byte, its GFLOP/s, and what bounds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from bench.cells.scenarios import LATENCY, SCENARIOS
from bench.run.bench_file import Ceilings
from bench.run.results import CellResult
from pose import architecture
from pose.architecture import Architecture
from reports.run.read import Run
from reports.words import cells as cells_
from reports.words.cells import value

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
"""Of a value, by precision; `defaults` may be any."""
OF_NETWORK = tuple(one.name for one in SCENARIOS.values() if one.of == "network")


@dataclass(frozen=True)
class RooflinePoint:
    """A cell whose network alone is timed, on a device whose ceilings were measured."""

    cell: CellResult
    flop_per_byte: float
    gflops: float
    peak_gflops: float
    bandwidth_gb_s: float

    @property
    def roof_gflops(self) -> float:
        """Return what the machine allows at its arithmetic a byte (Williams et al. 2009)."""
        return min(self.peak_gflops, self.flop_per_byte * self.bandwidth_gb_s)


def traffic_bytes(network: Architecture, batch: int, size: int) -> int:
    """Return the bytes that a batch moves where each layer reads input and weights and writes output once.

    size: bytes of a value. Caches and fused layers move less: it is the roof's own convention.
    """
    convs = [conv for stage in network.stages for conv in stage.convs]
    maps = sum(c.in_channels * prod(c.in_size) + c.out_channels * prod(c.out_size) for c in convs)
    return size * (batch * maps + sum(prod(c.weight_shape) for c in convs))


def points(run: Run) -> list[RooflinePoint]:
    """Return a point for each CPU cell of the run's own thread count; [] without recipe or ceilings."""
    limits = run.bench.limits if run.bench else None
    if run.recipe is None or limits is None:
        return []
    network = architecture.build(run.recipe.model)
    found = (_point(cell, network, limits) for cell in _timed(run))
    return [point for point in found if point]


def _timed(run: Run) -> Iterable[CellResult]:
    usual = run.facts.get("threads")
    for cell in sorted(run.cells, key=lambda c: (*cells_.full_lane_key(c.axes), *cells_.order(c.axes))):
        axes = cell.axes
        here = (axes.device, axes.threads, axes.replica) == ("cpu", usual, 0)
        if here and axes.scenario in OF_NETWORK and axes.precision in BYTES and cells_.comparable(cell):
            yield cell


def _point(cell: CellResult, network: Architecture, limits: Ceilings) -> RooflinePoint | None:
    axes, figure = cell.axes, value(cell)
    kinds = {(one.precision, one.threads): one.gflops for one in limits.peaks}
    peak = kinds.get((axes.precision, axes.threads))
    bandwidth = limits.bandwidth_gb_s.get(str(axes.threads))
    if not figure or peak is None or bandwidth is None:
        return None
    images_per_s = axes.batch * 1e3 / figure if axes.scenario == LATENCY.name else figure
    flop = 2 * network.macs
    return RooflinePoint(
        cell=cell,
        flop_per_byte=flop * axes.batch / traffic_bytes(network, axes.batch, BYTES[axes.precision]),
        gflops=flop * images_per_s / 1e9,
        peak_gflops=peak,
        bandwidth_gb_s=bandwidth,
    )
