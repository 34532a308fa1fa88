"""The axes of a cell, the lane in which it may be compared, and what can become of it."""

from __future__ import annotations

from dataclasses import dataclass

TWINS = ("tf", "torch")


@dataclass(frozen=True)
class Lane:
    """What cells must share to be compared with each other."""

    numerics: str
    """`strict-fp32`, `bf16`, `fp16`, `int8` or `defaults`."""
    device: str
    batch: int
    threads: int
    allocator: str
    scenario: str

    @property
    def id(self) -> str:
        """Return the readable name: strict-fp32-cpu-b1-t2-glibc-latency."""
        parts = (self.numerics, self.device, f"b{self.batch}", f"t{self.threads}")
        return "-".join((*parts, self.allocator, self.scenario))


@dataclass(frozen=True)
class Cell:
    """One point of the matrix; its fields are the axes, in the order of its ID."""

    twin: str
    runtime: str
    mode: str
    precision: str
    """`fp32` (strict: no TF32, no bf16), `bf16`, `fp16`, `int8`, or `defaults`: the runtime's own choice."""
    device: str
    batch: int
    threads: int
    allocator: str
    scenario: str
    """A name in `bench.cells.scenarios`."""
    replica: int = 0
    """1 for the second arm of an A/A pair: the same cell again, whose difference is the noise floor."""

    @property
    def id(self) -> str:
        """Return the readable name: torch-torch-eager-fp32-cpu-b1-t2-glibc-latency."""
        return "-".join(
            (
                *(self.twin, self.runtime, self.mode, self.precision, self.device),
                *(f"b{self.batch}", f"t{self.threads}", self.allocator, self.scenario),
                *(["again"] if self.replica else []),
            )
        )

    @property
    def numerics(self) -> str:
        """Return the numerics lane: the precision, whose fp32 is strict."""
        return "strict-fp32" if self.precision == "fp32" else self.precision

    @property
    def lane(self) -> Lane:
        """Return the lane: cells of one lane may be compared."""
        return Lane(self.numerics, self.device, self.batch, self.threads, self.allocator, self.scenario)
