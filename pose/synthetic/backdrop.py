"""Traces the rays of a camera against the ground, walls and sky of a place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pose.synthetic.camera import Camera
from pose.synthetic.noise import noise_at
from pose.synthetic.rotation import about_y
from pose.synthetic.shade import Light
from pose.synthetic.textures import Colour


@dataclass(frozen=True, eq=False)
class Surface:
    """A plane of a place, seen from the inside.

    side: floor, ceiling, left, right or back; distance_m from the camera's foot (or the height of
    the ceiling). texture (h, w, 3) sRGB float32, px_per_m; it repeats, unless `once`, when the
    colour at its rim goes on. height_m: walls end there.
    """

    side: str
    distance_m: float
    texture: np.ndarray
    px_per_m: float
    height_m: float = np.inf
    once: bool = False
    turned: bool = False


@dataclass(frozen=True, eq=False)
class ScenePlace:
    """Where a scene happens: surfaces, sky (zenith and horizon, sRGB), haze per metre, what stands there."""

    name: str
    surfaces: tuple[Surface, ...]
    light: Light
    yaw_deg: float
    things: tuple[str, ...]
    sky: tuple[Colour, Colour] = ((0.4, 0.6, 0.9), (0.85, 0.9, 0.95))
    clouds: float = 0.0
    haze: float = 0.0
    shadow_softness: float = 1.0
    skyline: tuple[float, float, float] | None = None


_NORMALS = {
    "floor": (0, -1, 0), "ceiling": (0, 1, 0), "left": (1, 0, 0), "right": (-1, 0, 0), "back": (0, 0, -1),
}  # fmt: skip

_LINEAR = ((np.arange(256, dtype=np.float32) / 255) ** 2)[:, None]
"""Linear light of 8-bit sRGB, by the square that shade.py uses too."""


def paint(place: ScenePlace, camera: Camera, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the background, (3, H, W) float32 linear RGB, and where it shows the floor, (H, W) bool."""
    turn = about_y(place.yaw_deg)
    rays = camera.rays(turn)
    eye_m = -float(camera.position[1])
    nearest = np.full(rays.shape[1:], np.inf, np.float32)
    chosen = np.full(rays.shape[1:], -1, np.int8)
    for i, surface in enumerate(place.surfaces):
        distance = _meet(surface, rays, eye_m)
        hit = distance < nearest
        np.copyto(nearest, distance, where=hit)
        np.copyto(chosen, np.int8(i), where=hit)
    out = np.zeros(rays.shape, np.float32)
    floor = np.zeros(chosen.shape, bool)
    for i, surface in enumerate(place.surfaces):
        mask = chosen == i
        window = _bounds(mask)
        if window:
            seen = _seen(place, surface, rays[:, *window], nearest[window], eye_m, turn)
            np.copyto(out[:, *window], seen, where=mask[window])
            floor |= mask if surface.side == "floor" else False
    open_air = chosen == -1
    window = _bounds(open_air)
    if window:
        np.copyto(out[:, *window], _sky(place, rays[:, *window], rng), where=open_air[window])
    return out, floor


def _bounds(mask: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the least rectangle around what is set in `mask` (h, w) bool, if anything is."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return (slice(y, y + h), slice(x, x + w)) if w else None


def dimmed(image: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return image (h, w, 3) times factor (h, w), both float32; several times faster than by broadcasting."""
    return np.asarray(cv2.multiply(image, cv2.merge([factor, factor, factor])))


def _mix(planes: np.ndarray, colour: np.ndarray, share: np.ndarray) -> None:
    """Mix `planes` (3, h, w) with `colour` (3,) by `share` (h, w), in place."""
    planes *= 1 - share
    for plane, channel in zip(planes, colour.astype(np.float32), strict=True):
        plane += share * channel


def _meet(surface: Surface, rays: np.ndarray, eye_m: float) -> np.ndarray:
    """(H, W) float32 distance along every ray, inf where it misses."""
    dx, dy, dz = rays
    with np.errstate(divide="ignore", invalid="ignore"):
        if surface.side in ("floor", "ceiling"):
            t = (eye_m if surface.side == "floor" else eye_m - surface.distance_m) / dy
            ok = t > 0
        else:
            t = surface.distance_m / (dz if surface.side == "back" else -dx if surface.side == "left" else dx)
            y = t * dy
            y -= eye_m
            ok = (t > 0) & (y <= 0)
            ok &= y >= -surface.height_m
    np.copyto(t, np.inf, where=~ok)
    return np.asarray(t)


def _metres(
    surface: Surface, rays: np.ndarray, distance: np.ndarray, eye_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) u, v: where on the surface rays (3, h, w) of these distances end."""
    dx, dy, dz = rays
    if surface.side in ("floor", "ceiling"):
        return distance * dx, distance * dz
    v = distance * dy
    v -= eye_m
    v += surface.height_m if np.isfinite(surface.height_m) else 0.0
    return distance * (dx if surface.side == "back" else dz), v


def _seen(
    place: ScenePlace,
    surface: Surface,
    rays: np.ndarray,
    distance: np.ndarray,
    eye_m: float,
    turn: np.ndarray,
) -> np.ndarray:
    """(3, h, w) linear: the surface wherever rays (3, h, w) meet it, lit, blurred and hazy with distance."""
    level = _level(place.light, turn @ np.array(_NORMALS[surface.side], float))
    sampled = cv2.split(_sampled(surface, rays, distance, eye_m))
    seen = np.empty_like(rays)
    for plane, channel, table in zip(seen, sampled, (_LINEAR * level).T.copy(), strict=True):
        cv2.LUT(channel, table, dst=plane)
    if not surface.once:
        share = np.clip(distance * np.float32(surface.px_per_m / 900) - np.float32(0.25), 0, 0.85)
        _mix(seen, np.array(cv2.mean(surface.texture)[:3]) ** 2 * level, share)
    if place.haze:
        _mix(seen, np.array(place.sky[1]) ** 2, 1 - np.exp(np.float32(-place.haze) * distance))
    return seen


def _sampled(surface: Surface, rays: np.ndarray, distance: np.ndarray, eye_m: float) -> np.ndarray:
    """(h, w, 3) uint8 sRGB of the texture where rays (3, h, w) of these distances end."""
    texture = cv2.convertScaleAbs(surface.texture, alpha=255)
    with np.errstate(invalid="ignore"):
        u, v = _metres(surface, rays, distance, eye_m)
        for metres in (u, v):
            metres *= np.float32(surface.px_per_m)
            # remap counts pixels in 16 bits; what lies beyond is a blur at the horizon.
            np.clip(metres, -3e4, 3e4, out=metres)
    if surface.turned:
        u, v = v, u
    if surface.once:
        u += texture.shape[1] / 2
        if surface.side in ("floor", "ceiling"):
            v = texture.shape[0] - v
    border = cv2.BORDER_REPLICATE if surface.once else cv2.BORDER_WRAP
    return cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=border)


def _level(light: Light, normal: np.ndarray) -> np.ndarray:
    """(3,) light that reaches a plane facing `normal`."""
    above = 0.5 - 0.5 * normal[1]
    level = (
        light.key * max(0.12, float(light.toward @ normal))
        + light.ground
        + (light.sky - light.ground) * above
    )
    return np.asarray(level, np.float32)


def _sky(place: ScenePlace, rays: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3, h, w) linear: a gradient, clouds on a high plane, a dark line of trees or hills at the horizon."""
    dx, dy, dz = rays
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    up = np.clip(-dy / length, 0, 1)
    rise = np.sqrt(up)
    zenith, horizon = (np.array(colour, np.float32)[:, None, None] for colour in place.sky)
    out = (1 - rise) * horizon
    out += rise * zenith
    row, column = (int(s) for s in rng.integers(0, 256, 2))
    if place.clouds:
        over = np.maximum(up, 0.03)
        u, v = ((d / length / over * 28).astype(np.int32) for d in (dx, dz))
        cover = np.clip(noise_at(v + column, u + row) * 2 + place.clouds * 2 - 1, 0, 1) * np.clip(
            up * 6, 0, 1
        )
        out += cover * (0.97 - out)
    if place.skyline:
        bearing = (np.arctan2(dx, dz) * 160).astype(np.int32)
        ridge = 0.06 + 0.05 * noise_at(row, bearing // 2 + column) + 0.015 * noise_at(column, bearing * 3)
        leaf = 1 + 0.5 * noise_at((up * 900).astype(np.int32), bearing * 2)
        np.copyto(out, leaf * np.array(place.skyline, np.float32)[:, None, None], where=up < ridge)
    out *= out
    return np.asarray(out)
