"""Rooms, sports halls and shops, drawn at random."""

from __future__ import annotations

import cv2
import numpy as np

from pose.synthetic import textures as tx
from pose.synthetic.backdrop import ScenePlace, Surface
from pose.synthetic.shade import Light, lamp

_WALL_PX_PER_M = 40.0


def room(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    height = rng.uniform(2.4, 3.0)
    paint = tx.hsv(rng, (0, 1), (0.03, 0.4), (0.6, 0.93))
    wall = tx.wall(rng, paint)
    skirting = (0.93, 0.92, 0.9) if rng.random() < 0.6 else tx.hsv(rng, (0.05, 0.1), (0.3, 0.6), (0.2, 0.45))
    left, right, back = (
        half_width_m + rng.uniform(0.3, 2),
        half_width_m + rng.uniform(0.3, 2),
        depth_m + rng.uniform(0.5, 2.5),
    )
    walls = tuple(
        Surface(side, at, _furnished_wall(rng, wall, height, skirting), _WALL_PX_PER_M, height, once=True)
        for side, at in (("left", left), ("right", right), ("back", back))
    )
    ceiling = Surface("ceiling", height, tx.speckled(rng, (0.93, 0.92, 0.9), 0.01, 0.03), 60)
    things = ("chair", "table", "sofa", "cabinet", "plant", "crate", "chair", "plant")
    return ScenePlace(
        "room",
        (_indoor_floor(rng), ceiling, *walls),
        _indoor_light(rng),
        rng.uniform(-28, 28),
        things,
        shadow_softness=3.0,
    )


def hall(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    height = rng.uniform(5, 8)
    floor = tx.tiled(tx.planks(rng, tx.hsv(rng, (0.06, 0.1), (0.35, 0.6), (0.6, 0.85)), 16), 3, 3)
    tx.court_lines(rng, floor, 2)
    walls = []
    for side, at in (
        ("left", half_width_m + rng.uniform(2, 5)),
        ("right", half_width_m + rng.uniform(2, 5)),
        ("back", depth_m + rng.uniform(2, 7)),
    ):
        wall = tx.tiled(tx.speckled(rng, tx.hsv(rng, (0, 1), (0.02, 0.25), (0.65, 0.9)), 0.02, 0.05), 1, 2)[
            : int(height * 30)
        ]
        wall = np.ascontiguousarray(wall)
        rows = len(wall)
        wall[rows - 60 :] = tx.hsv(rng, (0, 1), (0.3, 0.8), (0.3, 0.7))
        wall[rows - 60 :, ::32] *= 0.7
        for x in range(8, wall.shape[1] - 40, 64):
            cv2.rectangle(wall, (x, 12), (x + 48, 48), (0.92, 0.96, 0.98), -1)
        walls.append(Surface(side, at, wall, 30, height))
    ceiling = Surface("ceiling", height, tx.slabs(rng, (0.7, 0.7, 0.68), (0.35, 0.35, 0.35), 2), 60)
    return ScenePlace(
        "hall", (Surface("floor", 0, floor, 90), ceiling, *walls), _indoor_light(rng), rng.uniform(-35, 35),
        ("vault", "bench", "ball", "pole", "crate"), shadow_softness=3.0,
    )  # fmt: skip


def shop(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    height = rng.uniform(2.8, 3.8)
    walls = []
    for side, at in (
        ("left", half_width_m + rng.uniform(0.3, 1.5)),
        ("right", half_width_m + rng.uniform(0.3, 1.5)),
        ("back", depth_m + rng.uniform(0.8, 4)),
    ):
        tall = int(height * _WALL_PX_PER_M)
        wall = tx.speckled(rng, tx.hsv(rng, (0, 1), (0.02, 0.3), (0.6, 0.9)), 0.01, 0.03)[:tall]
        wall[tall - 84 :] = tx.shelves(rng, tx.TILE, 84)
        walls.append(Surface(side, at, wall, _WALL_PX_PER_M, height))
    panels = tx.slabs(rng, (0.82, 0.82, 0.8), (0.6, 0.6, 0.6), 4)
    panels[72:120, 70:186] = 1.5
    floor = Surface(
        "floor",
        0,
        tx.slabs(rng, tx.hsv(rng, (0.05, 0.6), (0, 0.1), (0.65, 0.88)), (0.55, 0.55, 0.53), 4),
        128,
    )
    return ScenePlace(
        "shop", (floor, Surface("ceiling", height, panels, 90), *walls), _indoor_light(rng),
        rng.uniform(-25, 25),
        ("crate", "table", "bin", "plant", "cabinet", "crate"), shadow_softness=3.0,
    )  # fmt: skip


def _indoor_light(rng: np.random.Generator) -> Light:
    warm = rng.uniform(-0.16, 0.16)
    tint = np.array([1 + warm, 1.0, 1 - warm])
    key = rng.uniform(0.35, 0.75)
    return Light(
        lamp(rng.uniform(90, 270), rng.uniform(35, 75)),
        tint * key,
        tint * rng.uniform(0.35, 0.6),
        tint * rng.uniform(0.14, 0.3),
    )


def _indoor_floor(rng: np.random.Generator) -> Surface:
    kind = rng.integers(4)
    if kind <= 1:
        wood = tx.planks(rng, tx.hsv(rng, (0.05, 0.1), (0.3, 0.65), (0.35, 0.75)))
        return Surface("floor", 0, wood, 200, turned=rng.random() < 0.5)
    if kind == 2:
        light = tx.hsv(rng, (0, 1), (0.0, 0.2), (0.65, 0.9))
        dark = tx.hsv(rng, (0, 1), (0.0, 0.3), (0.25, 0.6)) if rng.random() < 0.5 else None
        return Surface("floor", 0, tx.slabs(rng, light, (0.5, 0.48, 0.45), 4, dark), 150)
    return Surface(
        "floor", 0, tx.speckled(rng, tx.hsv(rng, (0, 1), (0.1, 0.5), (0.3, 0.65)), 0.12, 0.08), 180
    )


def _furnished_wall(
    rng: np.random.Generator, base: np.ndarray, height: float, skirting: tuple[float, float, float]
) -> np.ndarray:
    """(h, w, 3): 12 m of wall with windows, doors, pictures and shelves on it."""
    rows, columns = int(height * _WALL_PX_PER_M), int(12 * _WALL_PX_PER_M)
    out = tx.tiled(base, 1, 2)[:rows, :columns].copy()
    out[-5:] = skirting
    x = int(rng.integers(5, 60))
    while x < columns - 70:
        kind = rng.integers(6)
        w = min(int(rng.integers(38, 75)), columns - x - 14)
        if kind <= 1:
            _hang(out, tx.vista(rng, w, 52), x, rows - 92, (0.95, 0.95, 0.93))
            if rng.random() < 0.5:
                curtain = tx.hsv(rng, (0, 1), (0.1, 0.6), (0.4, 0.85))
                for edge in (max(0, x - 9), x + w - 3):
                    folds = 0.85 + 0.15 * np.sin(np.arange(12) * 1.6)
                    out[max(0, rows - 100) : rows - 22, edge : edge + 12] = folds[None, :, None] * np.array(
                        curtain
                    )
        elif kind == 2:
            door = tx.hsv(rng, (0.05, 0.12), (0.1, 0.6), (0.35, 0.9))
            cv2.rectangle(out, (x, rows - 82), (x + 36, rows), door, -1)
            cv2.rectangle(out, (x, rows - 82), (x + 36, rows), [c * 0.7 for c in door], 2)
            cv2.circle(out, (x + 31, rows - 40), 2, (0.8, 0.75, 0.5), -1)
        elif kind == 3:
            tall = int(rng.integers(50, 84))
            out[rows - tall : rows, x : x + w] = tx.shelves(rng, w, tall)
        else:
            h = int(rng.integers(20, 38))
            out[rows - 62 - h // 2 : rows - 62 + h - h // 2, x : x + w // 2] = tx.picture(rng, w // 2, h)
        x += w + int(rng.integers(12, 70))
    return out


def _hang(out: np.ndarray, picture: np.ndarray, x: int, y: int, frame: tuple[float, float, float]) -> None:
    h, w = picture.shape[:2]
    y = max(2, y)
    out[y : y + h, x : x + w] = picture[: out.shape[0] - y] * 1.15
    cv2.rectangle(out, (x, y), (x + w, y + h), frame, 3)
    cv2.line(out, (x + w // 2, y), (x + w // 2, y + h), frame, 2)
