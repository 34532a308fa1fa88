"""conversion.json of a twin: each way to an artifact, and how far its output moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.cells.artifacts import ArtifactFile
from pose.files import read_as


class Format(msgspec.Struct, frozen=True):
    """What a conversion is asked for: a kind of `bench.cells.artifacts.ARTIFACTS`, and where it will run."""

    kind: str
    batch: int | None = None
    """Of a kind that is made for each batch."""
    batches: tuple[int, ...] = ()
    """At which the bench runs it, and the gate looks at it; () where nobody measures it yet."""

    @property
    def file(self) -> ArtifactFile:
        """Return the file that it becomes."""
        return ArtifactFile(self.kind, self.batch)


class GateCheck(msgspec.Struct, frozen=True):
    """What the gate saw of an artifact, given some images."""

    batch: int
    """That the runner was started for."""
    images: int
    finite: bool
    error: float | None = None
    """Root mean square of the difference to the source's heatmaps, relative to that of these; None where it
    is no number, or the shapes differ."""
    max_abs_difference: float | None = None


class GateRecord(msgspec.Struct, frozen=True):
    """What the conversion gate saw of an artifact that it let through."""

    runtime: str
    precision: str
    bound: float
    """Of every check's error."""
    checks: tuple[GateCheck, ...]
    refused: dict[str, str | None]
    """By what was wrong with images, the line that the runner refused them with."""


class Route(msgspec.Struct, frozen=True):
    """One way from a source to an artifact."""

    route: str
    batch: int | None = None
    """That the file is for; None where it takes any."""
    input: tuple[int, ...] | None = None
    """The shape that the graph was traced with."""
    opset: int | None = None
    """Of an ONNX export."""
    nncf: str | None = None
    """The version that quantised."""
    preset: str | None = None
    calibration: dict[str, Any] | None = None
    """Which inputs it was quantised on."""
    processor: str | None = None
    """The instruction sets that a package is compiled for, and bound to."""
    file: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    """Of the file and of the weights beside it."""
    max_abs_difference: float | None = None
    """Largest difference of a heatmap value from the source's."""
    rms_source: float | None = None
    """Root mean square of the source's heatmaps: what the difference is relative to."""
    gate: GateRecord | None = None
    convert_s: float | None = None
    """What making the file took; None of an older version."""
    wall_s: float | None = None
    """With the gate."""
    status: str = "ok"
    reason: str | None = None


class Conversion(msgspec.Struct, frozen=True):
    """conversion.json."""

    routes: tuple[Route, ...]
    weights_sha256: str
    """Of the checkpoint that was converted."""
    source: str | None = None
    """The twin."""
    checkpoint: str | None = None
    split_sha256: str | None = None
    probe_images: int | None = None
    """How many inputs the differences are over."""


def read(run: Path, twin: str) -> Conversion | None:
    """Return what the conversion of a twin recorded; None without one, UserError when it is malformed."""
    return read_folder(run / "artifacts" / twin)


def read_folder(folder: Path) -> Conversion | None:
    """Return the record in a folder of artifacts, as `read` does."""
    path = folder / "conversion.json"
    expected = "a conversion's record; 'twinpose convert' makes one"
    return read_as(path, Conversion, expected) if path.is_file() else None
