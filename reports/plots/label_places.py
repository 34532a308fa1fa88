"""Labels beside points, none on another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DIRECTIONS = tuple(math.radians(angle) for angle in (0, 180, 90, 270, 45, 315, 135, 225))
RADII = (9.0, 20.0, 34.0, 50.0, 68.0, 88.0)
"""How far a label may move from its point, nearest first, in the unit of the sizes."""

LEADER = 3.0
"""Width that a line from a label to its point is given."""
NEAR = 14.0
"""A label nearer than this needs no line."""


@dataclass(frozen=True)
class Box:
    """A rectangle with its lower left corner at (x, y)."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """Return the area that both cover."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return wide * high if wide > 0 and high > 0 else 0.0

    def outside(self, frame: Box) -> float:
        """Return the area that lies outside `frame`."""
        # Rounded, or the noise of the last digits would choose between places that are all inside.
        return round(self.width * self.height - self.overlap(frame), 6)


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    *,
    marker: float = 9.0,
) -> list[Box]:
    """Return a box for each label, near its point, off every marker and every earlier label.

    points (n) and sizes (n, width and height) are in one unit, pixels for example. Where the frame
    has no free place left, the one that covers least is taken.
    """
    half = marker / 2
    taken = [Box(x - half, y - half, marker, marker) for x, y in points]
    placed: list[Box] = []
    for point, size in zip(points, sizes, strict=True):
        best = _best(point, size, frame, taken)
        placed.append(best)
        taken += [best, *leader(point, best)]
    return placed


def nearest(point: tuple[float, float], box: Box) -> tuple[float, float]:
    """Return the place in a box that is nearest to a point: where its leader line ends."""
    return (
        min(max(point[0], box.x), box.x + box.width),
        min(max(point[1], box.y), box.y + box.height),
    )


def leader(point: tuple[float, float], box: Box) -> list[Box]:
    """Return small boxes along the line from a point to its label; [] where it is near enough without."""
    end, half = nearest(point, box), LEADER / 2
    if math.dist(point, end) < NEAR:
        return []
    shares = (0.4, 0.6, 0.8, 1.0)
    middles = [(point[0] + s * (end[0] - point[0]), point[1] + s * (end[1] - point[1])) for s in shares]
    return [Box(x - half, y - half, LEADER, LEADER) for x, y in middles]


def _best(point: tuple[float, float], size: tuple[float, float], frame: Box, taken: list[Box]) -> Box:
    candidates = [_at(point, size, angle, radius) for radius in RADII for angle in DIRECTIONS]

    def cost(box: Box) -> float:
        line = leader(point, box)
        crossed = sum(piece.overlap(other) for piece in line for other in taken)
        return box.outside(frame) + sum(box.overlap(other) for other in taken) + crossed

    return min(candidates, key=cost)


def _at(point: tuple[float, float], size: tuple[float, float], angle: float, radius: float) -> Box:
    """Return the label's box whose side or corner nearest to the point is `radius` away at `angle`."""
    x, y = point[0] + radius * math.cos(angle), point[1] + radius * math.sin(angle)
    right, up = round(math.cos(angle), 6), round(math.sin(angle), 6)
    left = x if right > 0 else x - size[0] if right < 0 else x - size[0] / 2
    low = y if up > 0 else y - size[1] if up < 0 else y - size[1] / 2
    return Box(left, low, *size)
