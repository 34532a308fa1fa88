"""The surfaces of a scene: ellipsoids, tapered elliptic tubes and flat polygons.

Ellipsoids and tubes are quadrics, so a ray meets them at a root of one quadratic equation,
exactly, under perspective; see raster.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pose.synthetic.rotation import columns, cross, unit

BACKGROUND = -1
"""Owner of whatever is no person."""


@dataclass(frozen=True)
class Material:
    """How a surface looks. Colours are sRGB in [0, 1]; `period_m` is the size of the pattern."""

    colour: tuple[float, float, float]
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pattern: str = "plain"
    period_m: float = 0.1
    gloss: float = 0.0
    mottle: float = 0.06


@dataclass(eq=False)
class Solids:
    """Surfaces in the order they were added; the index is the id in the id buffer.

    `owner` and `part` mark what is added next. A quadric keeps its transform (4, 4) from a unit
    ellipsoid or unit tube to the world, and `clip` (4,), a plane in local coordinates outside
    which (negative side) it is cut away. A frame (3, 4) takes world points to pattern metres.
    """

    materials: list[Material] = field(default_factory=list)
    owner: int = BACKGROUND
    transforms: list[np.ndarray] = field(default_factory=list)
    tapers: list[float] = field(default_factory=list)
    clips: list[tuple[float, float, float, float]] = field(default_factory=list)
    polygons: list[np.ndarray] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)

    def material(self, material: Material) -> int:
        """Return the number of a new material."""
        self.materials.append(material)
        return len(self.materials) - 1

    def ellipsoid(
        self,
        centre: np.ndarray,
        turn: np.ndarray,
        half: tuple[float, float, float],
        look: int,
        part: int,
        *,
        clip: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
        frame: np.ndarray | None = None,
    ) -> None:
        """Add an ellipsoid with half axes `half` along the columns of `turn`."""
        transform = np.zeros((4, 4))
        transform[:3, :3] = turn * half
        transform[:3, 3] = centre
        transform[3, 3] = 1.0
        self._add(transform, np.nan, clip, look, part, frame_of(centre, turn) if frame is None else frame)

    def ball(self, centre: np.ndarray, radius: float, look: int, part: int, frame: np.ndarray) -> None:
        """Add a sphere, metres."""
        self.ellipsoid(centre, _IDENTITY, (radius, radius, radius), look, part, frame=frame)

    def tube(
        self,
        start: np.ndarray,
        end: np.ndarray,
        radii: tuple[float, float],
        look: int,
        part: int,
        *,
        across: np.ndarray,
        flat: float = 1.0,
        frame: np.ndarray | None = None,
    ) -> None:
        """Add an open tube from `start` to `end`; `across` (3,) is its wide axis, `flat` depth by width."""
        along = end - start
        depth = unit(cross(across, along))
        wide = unit(cross(along, depth))
        transform = np.zeros((4, 4))
        transform[:3, 0] = wide * radii[0]
        transform[:3, 1] = along
        transform[:3, 2] = depth * (radii[0] * flat)
        transform[:3, 3] = start
        transform[3, 3] = 1.0
        if frame is None:
            frame = frame_of(start, columns(wide, unit(along), depth))
        self._add(transform, radii[1] / radii[0] - 1.0, (0.0, 0.0, 0.0, 1.0), look, part, frame)

    def polygon(self, corners: np.ndarray, look: int, part: int = 0) -> None:
        """Add a flat convex polygon (N, 3), seen from the side on which its corners run clockwise."""
        right = unit(corners[1] - corners[0])
        normal = unit(cross(right, corners[-1] - corners[0]))
        self._note(look, part, frame_of(corners[0], columns(right, cross(normal, right), normal)))
        self.polygons.append(corners)
        self.transforms.append(_NOT_MOVED)
        self.tapers.append(0.0)
        self.clips.append((0.0, 0.0, 0.0, 0.0))

    def _add(
        self,
        transform: np.ndarray,
        taper: float,
        clip: tuple[float, float, float, float],
        look: int,
        part: int,
        frame: np.ndarray,
    ) -> None:
        self.transforms.append(transform)
        self.tapers.append(taper)
        self.clips.append(clip)
        self.polygons.append(_NO_CORNERS)
        self._note(look, part, frame)

    def _note(self, look: int, part: int, frame: np.ndarray) -> None:
        self.looks.append(look)
        self.parts.append(part)
        self.owners.append(self.owner)
        self.frames.append(frame)


_IDENTITY = np.eye(3)
_NOT_MOVED = np.eye(4)
_NO_CORNERS = np.zeros((0, 3))


def frame_of(origin: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Return (3, 4): world points to coordinates along the columns of `turn` (3, 3) from `origin`."""
    frame = np.empty((3, 4))
    frame[:, :3] = turn.T
    frame[:, 3] = -turn.T @ origin
    return frame
