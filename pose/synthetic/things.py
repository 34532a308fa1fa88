"""Furniture, plants, vehicles: what people stand behind, beside or sit on."""

from __future__ import annotations

import numpy as np

from pose.synthetic.rotation import about_x, about_y, about_z
from pose.synthetic.solids import Material, Solids
from pose.synthetic.textures import Colour, hsv

_PATTERN_OF = {"wood": ((0.06, 0.1), (0.3, 0.6), (0.3, 0.7)), "paint": ((0, 1), (0.1, 0.8), (0.25, 0.9))}


class Furnisher:
    """Adds things to the solids of a scene, each with its foot on the ground at (x, z), turned by yaw."""

    def __init__(self, solids: Solids, rng: np.random.Generator) -> None:
        self.solids, self.rng = solids, rng

    def add(self, kind: str, x: float, z: float, yaw_deg: float) -> None:
        """Add one thing by its name, a key of SIZES."""
        getattr(self, f"_{kind}")(np.array([x, 0.0, z]), about_y(yaw_deg))

    def seat(self, body_at: np.ndarray, heading_deg: float, height_m: float, *, backrest: bool) -> None:
        """Add a seat `height_m` high under a pelvis at `body_at` (3,), open toward `heading_deg`."""
        turn = about_y(heading_deg)
        foot = np.array([body_at[0], 0.0, body_at[2]]) + turn @ np.array([0, 0, 0.06])
        look = self._look("wood" if self.rng.random() < 0.5 else "paint")
        if self.rng.random() < 0.35 or height_m < 0.3:
            self._box(foot, turn, (0.55, height_m, 0.48), look)
            return
        self._box(foot, turn, (0.46, 0.05, 0.44), look, base_m=height_m - 0.05)
        for dx in (-0.2, 0.2):
            for dz in (-0.18, 0.18):
                self._post(foot + turn @ np.array([dx, 0, dz]), 0.02, height_m - 0.05, look)
        if backrest:
            behind = foot + turn @ np.array([0, 0, -0.24])
            self._box(behind, turn, (0.46, 0.42, 0.04), look, base_m=height_m + 0.06)

    def _look(self, kind: str) -> int:
        hue, sat, value = _PATTERN_OF[kind]
        colour = hsv(self.rng, hue, sat, value)
        darker: Colour = (colour[0] * 0.75, colour[1] * 0.72, colour[2] * 0.7)
        pattern = "wood" if kind == "wood" else ("panel" if self.rng.random() < 0.4 else "plain")
        return self.solids.material(
            Material(colour, darker, pattern, 0.45 if pattern == "panel" else 0.3, gloss=0.1)
        )

    def _plain(self, colour: Colour, gloss: float = 0.0, mottle: float = 0.05) -> int:
        return self.solids.material(Material(colour, gloss=gloss, mottle=mottle))

    def _box(
        self,
        foot: np.ndarray,
        turn: np.ndarray,
        size: tuple[float, float, float],
        look: int,
        base_m: float = 0.0,
    ) -> None:
        w, h, d = size
        low, high = -base_m, -base_m - h
        corners = (
            foot
            + np.array([[x, y, z] for y in (high, low) for x, z in _CORNERS]) * (w / 2, 1, d / 2) @ turn.T
        )
        for k in range(4):
            a, b = k, (k + 1) % 4
            self.solids.polygon(corners[[a, b, b + 4, a + 4]], look)
        self.solids.polygon(corners[[3, 2, 1, 0]], look)

    def _post(self, foot: np.ndarray, radius: float, height: float, look: int, base_m: float = 0.0) -> None:
        start, end = foot - [0, base_m, 0], foot - [0, base_m + height, 0]
        self.solids.tube(start, end, (radius, radius), look, 0, across=np.array([1.0, 0, 0]))
        self.solids.ellipsoid(end, np.eye(3), (radius, 0.3 * radius, radius), look, 0)

    def _crate(self, at: np.ndarray, turn: np.ndarray) -> None:
        side = self.rng.uniform(0.4, 0.7)
        look = self._look("wood")
        self._box(at, turn, (side, side * 0.8, side), look)
        if self.rng.random() < 0.4:
            self._box(
                at, turn @ about_y(20), (side * 0.7, side * 0.6, side * 0.7), self._look("paint"), side * 0.8
            )

    def _table(self, at: np.ndarray, turn: np.ndarray) -> None:
        w, h, d = self.rng.uniform(0.9, 1.6), self.rng.uniform(0.62, 0.78), self.rng.uniform(0.6, 0.9)
        look = self._look("wood")
        self._box(at, turn, (w, 0.05, d), look, h - 0.05)
        for dx in (-0.45, 0.45):
            for dz in (-0.42, 0.42):
                self._post(at + turn @ np.array([dx * w, 0, dz * d]), 0.03, h - 0.05, look)
        if self.rng.random() < 0.6:
            self._post(at + turn @ np.array([0.2 * w, 0, 0]), 0.06, 0.22, self._look("paint"), h)

    def _chair(self, at: np.ndarray, turn: np.ndarray) -> None:
        look = self._look("wood")
        self._box(at, turn, (0.44, 0.05, 0.44), look, 0.42)
        self._box(at + turn @ np.array([0, 0, -0.2]), turn, (0.44, 0.45, 0.04), look, 0.47)
        for dx in (-0.19, 0.19):
            for dz in (-0.19, 0.19):
                self._post(at + turn @ np.array([dx, 0, dz]), 0.02, 0.42, look)

    def _cabinet(self, at: np.ndarray, turn: np.ndarray) -> None:
        self._box(
            at, turn, (self.rng.uniform(0.7, 1.4), self.rng.uniform(0.6, 1.5), 0.42), self._look("wood")
        )

    def _sofa(self, at: np.ndarray, turn: np.ndarray) -> None:
        look = self._plain(hsv(self.rng, (0, 1), (0.1, 0.6), (0.25, 0.7)), mottle=0.12)
        w = self.rng.uniform(1.3, 1.9)
        self._box(at, turn, (w, 0.4, 0.75), look)
        self._box(at + turn @ np.array([0, 0, -0.32]), turn, (w, 0.42, 0.16), look, 0.4)
        for dx in (-0.5, 0.5):
            self._box(at + turn @ np.array([dx * w, 0, 0]), turn, (0.16, 0.58, 0.78), look)

    def _bench(self, at: np.ndarray, turn: np.ndarray) -> None:
        look = self._look("wood")
        w = self.rng.uniform(1.2, 1.9)
        for dz in (-0.14, 0.0, 0.14):
            self._box(at + turn @ np.array([0, 0, dz]), turn, (w, 0.04, 0.11), look, 0.42)
        self._box(at + turn @ np.array([0, 0, -0.22]), turn, (w, 0.12, 0.03), look, 0.62)
        self._box(at + turn @ np.array([0, 0, -0.22]), turn, (w, 0.12, 0.03), look, 0.78)
        iron = self._plain((0.15, 0.16, 0.16), 0.2)
        for dx in (-0.42, 0.42):
            self._box(at + turn @ np.array([dx * w, 0, 0]), turn, (0.05, 0.42, 0.36), iron)

    def _plant(self, at: np.ndarray, turn: np.ndarray) -> None:
        pot = self._plain(hsv(self.rng, (0.0, 0.1), (0.1, 0.6), (0.4, 0.85)))
        self.solids.tube(at, at - [0, 0.34, 0], (0.13, 0.18), pot, 0, across=np.array([1.0, 0, 0]))
        self._foliage(at, 0.34, self.rng.uniform(0.7, 1.2), 0.32, 12)

    def _bush(self, at: np.ndarray, turn: np.ndarray) -> None:
        self._foliage(at, 0.0, self.rng.uniform(0.6, 1.0), self.rng.uniform(0.4, 0.7), 11)

    def _tree(self, at: np.ndarray, turn: np.ndarray) -> None:
        bark = self.solids.material(
            Material((0.36, 0.27, 0.2), (0.2, 0.15, 0.11), "leaves", 0.25, mottle=0.3)
        )
        height = self.rng.uniform(1.9, 2.8)
        self.solids.tube(at, at - [0, height, 0], (0.19, 0.11), bark, 0, across=np.array([1.0, 0, 0]))
        self._foliage(at, height - 0.3, height + 1.8, 1.1, 13)

    def _foliage(self, at: np.ndarray, low: float, high: float, radius: float, count: int) -> None:
        green = hsv(self.rng, (0.2, 0.36), (0.35, 0.65), (0.4, 0.7))
        light = (green[0] * 0.65, green[1] * 0.7, green[2] * 0.6)
        look = self.solids.material(Material(green, light, "leaves", 0.1, mottle=0.45))
        for k in range(count):
            share = k / max(1, count - 1)
            spread = radius * (0.35 + 0.65 * np.sin(np.pi * min(1.0, 0.15 + share * 0.85)))
            angle = 2.4 * k + self.rng.uniform(0, 1)
            centre = at + np.array([np.cos(angle), 0, np.sin(angle)]) * spread * 0.65
            centre = centre - [0, low + (high - low) * (0.12 + 0.8 * share), 0]
            size = max(radius * self.rng.uniform(0.3, 0.5), (high - low) / count * 1.4)
            turn = about_y(float(np.degrees(angle))) @ about_x(self.rng.uniform(-40, 40))
            self.solids.ellipsoid(centre, turn, (size, size * 0.62, size * 0.85), look, 0)

    def _pole(self, at: np.ndarray, turn: np.ndarray) -> None:
        grey = self._plain(hsv(self.rng, (0.3, 0.6), (0.0, 0.4), (0.2, 0.6)), 0.25)
        self._post(at, self.rng.uniform(0.04, 0.09), 4.0, grey)
        self._post(at, 0.14, 0.2, grey)

    def _bin(self, at: np.ndarray, turn: np.ndarray) -> None:
        look = self._plain(hsv(self.rng, (0.2, 0.65), (0.1, 0.7), (0.2, 0.55)), 0.15)
        self._post(at, 0.25, 0.85, look)

    def _barrier(self, at: np.ndarray, turn: np.ndarray) -> None:
        red = self.solids.material(Material((0.85, 0.12, 0.1), (0.95, 0.95, 0.93), "stripes", 0.4, gloss=0.1))
        for height in (0.45, 0.85):
            self._box(at, turn, (1.5, 0.17, 0.04), red, height)
        iron = self._plain((0.5, 0.5, 0.5), 0.2)
        for dx in (-0.7, 0.7):
            self._box(at + turn @ np.array([dx, 0, 0.05]), turn, (0.06, 1.05, 0.06), iron)

    def _ball(self, at: np.ndarray, turn: np.ndarray) -> None:
        look = self.solids.material(
            Material((0.85, 0.45, 0.15), (0.15, 0.1, 0.08), "rings", 0.12, gloss=0.15)
        )
        self.solids.ellipsoid(at - [0, 0.13, 0], turn @ about_z(30), (0.13, 0.13, 0.13), look, 0)

    def _vault(self, at: np.ndarray, turn: np.ndarray) -> None:
        self._box(at, turn, (1.3, 0.75, 0.5), self._look("wood"))
        self._box(at, turn, (1.3, 0.14, 0.5), self._plain((0.5, 0.33, 0.2), 0.1), 0.75)

    def _parasol(self, at: np.ndarray, turn: np.ndarray) -> None:
        self._post(at, 0.025, 2.2, self._plain((0.9, 0.9, 0.88)))
        look = self.solids.material(
            Material(hsv(self.rng, (0, 1), (0.6, 0.9), (0.6, 0.95)), (0.95, 0.94, 0.9), "stripes", 0.5)
        )
        self.solids.ellipsoid(
            at - [0, 1.95, 0], np.eye(3), (1.15, 0.42, 1.15), look, 0, clip=(0.0, -1.0, 0.0, 0.0)
        )

    def _car(self, at: np.ndarray, turn: np.ndarray) -> None:
        paint = self._plain(hsv(self.rng, (0, 1), (0.0, 0.8), (0.25, 0.9)), 0.5, 0.02)
        glass = self._plain((0.16, 0.2, 0.25), 0.6)
        black = self._plain((0.07, 0.07, 0.075), 0.1)
        self._box(at, turn, (4.0, 0.5, 1.6), paint, 0.28)
        self.solids.ellipsoid(at - [0, 0.76, 0], turn, (2.02, 0.2, 0.8), paint, 0, clip=(0.0, -1.0, 0.0, 0.0))
        self._cabin(at, turn, glass, paint)
        for dx in (-1.25, 1.25):
            for dz in (-0.74, 0.74):
                axle = at + turn @ np.array([dx, -0.31, dz])
                self.solids.ellipsoid(axle, turn, (0.31, 0.31, 0.13), black, 0)
                rim = self._plain((0.65, 0.66, 0.68), 0.4)
                self.solids.ellipsoid(axle, turn, (0.18, 0.18, 0.15), rim, 0)

    def _cabin(self, at: np.ndarray, turn: np.ndarray, glass: int, paint: int) -> None:
        """A tapered box of glass under a painted roof."""
        low = np.array([[x, -0.78, z] for x, z in _CORNERS]) * (1.15, 1, 0.74)
        high = np.array([[x, -1.38, z] for x, z in _CORNERS]) * (0.72, 1, 0.6)
        corners = at + np.concatenate([high, low]) @ turn.T
        for k in range(4):
            a, b = k, (k + 1) % 4
            self.solids.polygon(corners[[a, b, b + 4, a + 4]], glass)
        self.solids.polygon(corners[[3, 2, 1, 0]], paint)
        for k in range(4):
            self.solids.tube(corners[k], corners[k + 4], (0.04, 0.05), paint, 0, across=turn[:, 2])


_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
"""x, z of a footprint: seen from -z, the first side runs left to right."""

SIZES = {
    "crate": 0.5, "table": 0.8, "chair": 0.35, "cabinet": 0.7, "sofa": 1.0, "bench": 0.9,
    "plant": 0.35, "bush": 0.7,
    "tree": 0.5, "pole": 0.15, "bin": 0.3, "barrier": 0.8, "ball": 0.15, "vault": 0.8, "parasol": 0.4,
    "car": 2.1,
}  # fmt: skip
"""Radius in metres around each thing that people keep free."""
