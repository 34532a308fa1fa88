"""Streets, parks, beaches and courts, drawn at random."""

from __future__ import annotations

import cv2
import numpy as np

from pose.synthetic import textures as tx
from pose.synthetic.backdrop import ScenePlace, Surface, dimmed
from pose.synthetic.noise import noise_tile
from pose.synthetic.shade import Light, lamp

_BEACH_PX_PER_M = 20


def street(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    light, clouds = _daylight(rng)
    ground = (
        tx.slabs(
            rng, tx.hsv(rng, (0.05, 0.15), (0.0, 0.2), (0.5, 0.75)), (0.4, 0.4, 0.38), int(rng.integers(3, 7))
        )
        if rng.random() < 0.5
        else _road(rng)
    )
    sides = []
    for side in ("left", "right"):
        if rng.random() < 0.75:
            floors = int(rng.integers(2, 6))
            sides.append(
                Surface(side, half_width_m + rng.uniform(1.0, 7), tx.facade(rng, floors), 32, floors * 3.0)
            )
    floors = int(rng.integers(2, 6))
    sides.append(Surface("back", depth_m + rng.uniform(2, 14), tx.facade(rng, floors), 32, floors * 3.0))
    return ScenePlace(
        "street", (Surface("floor", 0, ground, 100), *sides), light, rng.uniform(-30, 30),
        ("car", "pole", "bin", "bench", "barrier", "car", "pole", "tree"),
        clouds=clouds, haze=0.008, sky=_sky_colours(rng, clouds),
    )  # fmt: skip


def park(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    light, clouds = _daylight(rng)
    grass = tx.tiled(tx.speckled(rng, tx.hsv(rng, (0.2, 0.31), (0.35, 0.65), (0.38, 0.62)), 0.38, 0.25), 1, 3)
    if rng.random() < 0.5:
        path = tx.speckled(rng, tx.hsv(rng, (0.07, 0.12), (0.1, 0.35), (0.6, 0.8)), 0.12, 0.1)
        start = int(rng.integers(0, 500))
        grass[:, start : start + 200] = path[:, :200]
    surfaces = [Surface("floor", 0, grass, 110)]
    if rng.random() < 0.4:
        fence = tx.planks(rng, tx.hsv(rng, (0.06, 0.12), (0.2, 0.5), (0.35, 0.75)), 12)
        surfaces.append(
            Surface("back", depth_m + rng.uniform(3, 8), fence, 110, rng.uniform(1.0, 1.8), turned=True)
        )
    dark = tx.hsv(rng, (0.22, 0.36), (0.3, 0.6), (0.22, 0.42))
    return ScenePlace(
        "park", tuple(surfaces), light, rng.uniform(-35, 35),
        ("tree", "bush", "bench", "tree", "bush", "pole"),
        clouds=clouds, haze=0.012, skyline=dark, sky=_sky_colours(rng, clouds),
    )  # fmt: skip


def beach(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    light, clouds = _daylight(rng)
    sand = tx.hsv(rng, (0.08, 0.13), (0.2, 0.42), (0.75, 0.92))
    out = tx.tiled(tx.speckled(rng, sand, 0.13, 0.12), 2, 2)
    rows = len(out)
    shore = rows - int(min(0.9, (depth_m + rng.uniform(1, 5)) * _BEACH_PX_PER_M / rows) * rows)
    sea = tx.hsv(rng, (0.48, 0.58), (0.4, 0.7), (0.45, 0.7))
    shape = noise_tile()[0][np.arange(out.shape[1]) // 2 % 256]
    edge = (shore + 8 * shape).astype(int)
    _wash(out, edge, tx.tinted(1 + 0.22 * tx.streaks(), sea))
    return ScenePlace(
        "beach", (Surface("floor", 0, out, _BEACH_PX_PER_M, once=True),), light, rng.uniform(-20, 20),
        ("parasol", "crate", "ball", "parasol", "chair"),
        clouds=clouds * 0.8, haze=0.004, sky=_sky_colours(rng, clouds),
    )  # fmt: skip


def _wash(sand: np.ndarray, edge: np.ndarray, sea: np.ndarray) -> None:
    """Flood `sand` (h, w, 3) above row edge (w,) with the tile `sea`; foam and wet sand below; in place."""
    low, high = max(0, int(edge.min())), min(len(sand), int(edge.max()) + 36)
    water = tx.tiled(sea, 2, 2)
    sand[:low] = water[:low]
    row = np.arange(low, high)[:, None]
    shore, swell = sand[low:high], water[low:high]
    wet = np.where((row >= edge) & (row < edge + 36), np.float32(0.78), np.float32(1))
    shore[:] = dimmed(shore, wet)
    cv2.copyTo(swell, (row < edge).view(np.uint8), shore)
    cv2.copyTo(np.full_like(shore, 0.95), ((row >= edge) & (row < edge + 5)).view(np.uint8), shore)


def court(rng: np.random.Generator, depth_m: float, half_width_m: float) -> ScenePlace:
    light, clouds = _daylight(rng)
    floor = tx.tiled(tx.speckled(rng, tx.hsv(rng, (0, 1), (0.3, 0.65), (0.35, 0.65)), 0.08, 0.08), 3, 3)
    tx.court_lines(rng, floor, 1)
    fence = tx.speckled(rng, tx.hsv(rng, (0.25, 0.4), (0.3, 0.5), (0.25, 0.4)), 0.05, 0.2)
    fence[::10] *= 1.35
    fence[:, ::10] *= 1.35
    surfaces = (
        Surface("floor", 0, floor, 80),
        Surface("back", depth_m + rng.uniform(2, 8), fence, 90, rng.uniform(1.6, 3.2)),
    )
    dark = tx.hsv(rng, (0.22, 0.36), (0.3, 0.6), (0.22, 0.42))
    return ScenePlace(
        "court", surfaces, light, rng.uniform(-35, 35), ("bench", "ball", "pole", "bin", "bush"),
        clouds=clouds, haze=0.01, skyline=dark, sky=_sky_colours(rng, clouds),
    )  # fmt: skip


def _daylight(rng: np.random.Generator) -> tuple[Light, float]:
    """Sun or an overcast sky; also how cloudy it is, 0 to 1."""
    clouds = float(rng.uniform(0.1, 0.9))
    warm = rng.uniform(0.0, 0.22)
    sun = (
        np.array([1.0 + 0.1 * warm, 1 - 0.3 * warm, 1 - warm * 1.2])
        * (1.0 - 0.75 * clouds)
        * rng.uniform(0.8, 1.1)
    )
    sky = np.array([0.85, 0.95, 1.1]) * rng.uniform(0.4, 0.65) * (0.8 + 0.4 * clouds)
    return Light(
        lamp(rng.uniform(60, 300), rng.uniform(32, 70)), sun, sky, np.array([0.24, 0.23, 0.2])
    ), clouds


def _sky_colours(rng: np.random.Generator, clouds: float) -> tuple[tx.Colour, tx.Colour]:
    """Colours at the zenith and at the horizon."""
    if clouds > 0.65:
        grey = rng.uniform(0.72, 0.88)
        return (grey * 0.9, grey * 0.94, grey), (grey, grey, grey)
    zenith = tx.hsv(rng, (0.56, 0.62), (0.45, 0.75), (0.7, 0.92))
    return zenith, tx.hsv(rng, (0.08, 0.58), (0.03, 0.15), (0.88, 0.97))


def _road(rng: np.random.Generator) -> np.ndarray:
    """Asphalt with a painted line every few metres."""
    out = tx.tiled(tx.speckled(rng, (0.36, 0.36, 0.37), 0.16, 0.12), 2, 2)
    if rng.random() < 0.7:
        out[:180, 100:115] = (0.88, 0.87, 0.8)
    return out
