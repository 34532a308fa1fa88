"""conversion.json of a twin: each way to an artifact, and how far its output moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pose.files import read_as


class Route(msgspec.Struct, frozen=True):
    """One way from a source to an artifact."""

    route: str
    input: tuple[int, ...] | None = None
    """The shape that the graph was traced with."""
    opset: int | None = None
    """Of an ONNX export."""
    nncf: str | None = None
    """The version that quantised."""
    preset: str | None = None
    calibration: dict[str, Any] | None = None
    """Which inputs it was quantised on."""
    file: str | None = None
    sha256: str | None = None
    max_abs_difference: float | None = None
    """Largest difference of a heatmap value from the source's."""
    rms_source: float | None = None
    """Root mean square of the source's heatmaps: what the difference is relative to."""
    wall_s: float | None = None
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
    path = run / "artifacts" / twin / "conversion.json"
    expected = "a conversion's record; 'twinpose convert' makes one"
    return read_as(path, Conversion, expected) if path.is_file() else None
