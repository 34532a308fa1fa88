"""Traces the rays of a camera against the ground, walls and sky of a place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pose.synthetic.camera import Camera
from pose.synthetic.rotation import about_y
from pose.synthetic.shade import Light, noise_tile
from pose.synthetic.textures import Colour


@dataclass(frozen=True, eq=False)
class Surface:
    """A plane of a place, seen from the inside.

    side: floor, ceiling, left, right or back; distance_m from the camera's foot (or the height of
    the ceiling). texture (h, w, 3) sRGB float32, px_per_m; it repeats, unless `once`, when the
    colour at its rim goes on. height_m: walls end there. near/far: extent along the wall.
    """

    side: str
    distance_m: float
    texture: np.ndarray
    px_per_m: float
    height_m: float = np.inf
    once: bool = False
    turned: bool = False
    near_m: float = -np.inf
    far_m: float = np.inf


@dataclass(frozen=True, eq=False)
class Place:
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


def paint(place: Place, camera: Camera, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the background (H, W, 3) float32 linear RGB and where it shows the floor, (H, W) bool."""
    turn = about_y(place.yaw_deg)
    rays = camera.rays(turn)
    nearest = np.full(rays.shape[1:], np.inf, np.float32)
    chosen = np.full(rays.shape[1:], -1, np.int8)
    maps: list[tuple[np.ndarray, np.ndarray]] = []
    for i, surface in enumerate(place.surfaces):
        distance, u, v = _meet(surface, rays, -float(camera.position[1]))
        hit = distance < nearest
        np.copyto(nearest, distance, where=hit)
        np.copyto(chosen, np.int8(i), where=hit)
        maps.append((u, v))
    out = np.zeros((*chosen.shape, 3), np.float32)
    floor = np.zeros(chosen.shape, bool)
    for i, surface in enumerate(place.surfaces):
        mask = chosen == i
        if mask.any():
            _cover(out, place, surface, mask, nearest, maps[i], turn)
            floor |= mask if surface.side == "floor" else False
    open_air = chosen == -1
    if open_air.any():
        x0, y0, w, h = cv2.boundingRect(open_air.view(np.uint8))
        window = (slice(y0, y0 + h), slice(x0, x0 + w))
        sky = _sky(place, rays[:, y0 : y0 + h, x0 : x0 + w], rng)
        np.copyto(out[window], sky, where=open_air[window][..., None])
    return out, floor


def dimmed(image: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return image (h, w, 3) times factor (h, w), both float32; several times faster than by broadcasting."""
    return np.asarray(cv2.multiply(image, cv2.merge([factor, factor, factor])))


def _toward(image: np.ndarray, colour: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(h, w, 3): `image` mixed with `colour` (3,) by `share` (h, w)."""
    return dimmed(image, 1 - share) + cv2.merge([share * np.float32(c) for c in colour])


def _meet(surface: Surface, rays: np.ndarray, eye_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, W) distance (inf where missed) and texture metres u, v of every ray."""
    dx, dy, dz = rays
    with np.errstate(divide="ignore", invalid="ignore"):
        if surface.side in ("floor", "ceiling"):
            t = (eye_m if surface.side == "floor" else eye_m - surface.distance_m) / dy
            u, v = t * dx, t * dz
            ok = t > 0
        else:
            t = surface.distance_m / (dz if surface.side == "back" else -dx if surface.side == "left" else dx)
            u, y = t * (dx if surface.side == "back" else dz), t * dy - eye_m
            v = y + (surface.height_m if np.isfinite(surface.height_m) else 0.0)
            ok = (t > 0) & (y <= 0) & (y >= -surface.height_m) & (u >= surface.near_m) & (u <= surface.far_m)
    return np.where(ok, t, np.inf).astype(np.float32), u, v


def _cover(
    out: np.ndarray,
    place: Place,
    surface: Surface,
    mask: np.ndarray,
    distance: np.ndarray,
    metres: tuple[np.ndarray, np.ndarray],
    turn: np.ndarray,
) -> None:
    x0, y0, w, h = cv2.boundingRect(mask.view(np.uint8))
    window = (slice(y0, y0 + h), slice(x0, x0 + w))
    inside = mask[window]
    # remap counts pixels in 16 bits; what lies beyond is a blur at the horizon.
    u, v = (np.clip(m[window] * np.float32(surface.px_per_m), -3e4, 3e4) for m in metres)
    if surface.turned:
        u, v = v, u
    if surface.once:
        u += surface.texture.shape[1] / 2
        if surface.side in ("floor", "ceiling"):
            v = surface.texture.shape[0] - v
    border = cv2.BORDER_REPLICATE if surface.once else cv2.BORDER_WRAP
    texture = cv2.convertScaleAbs(surface.texture, alpha=255)
    sampled = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=border)
    level = _level(place.light, turn @ np.array(_NORMALS[surface.side], float))
    seen = np.asarray(cv2.LUT(sampled, (_LINEAR * level)[:, None]))
    away = distance[window]
    if not surface.once:
        blend = np.clip(away * np.float32(surface.px_per_m / 900) - np.float32(0.25), 0, 0.85)
        seen = _toward(seen, np.array(cv2.mean(surface.texture)[:3]) ** 2 * level, blend)
    if place.haze:
        seen = _toward(seen, np.array(place.sky[1]) ** 2, 1 - np.exp(np.float32(-place.haze) * away))
    cv2.copyTo(seen, inside.view(np.uint8), out[window])


def _level(light: Light, normal: np.ndarray) -> np.ndarray:
    """(3,) light that reaches a plane facing `normal`."""
    above = 0.5 - 0.5 * normal[1]
    level = (
        light.key * max(0.12, float(light.toward @ normal))
        + light.ground
        + (light.sky - light.ground) * above
    )
    return np.asarray(level, np.float32)


def _sky(place: Place, rays: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) linear: a gradient, clouds on a high plane, a dark line of trees or hills at the horizon."""
    dx, dy, dz = rays
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    up = np.clip(-dy / length, 0, 1)
    rise = np.sqrt(up)[..., None]
    out = (1 - rise) * np.array(place.sky[1], np.float32) + rise * np.array(place.sky[0], np.float32)
    shift = rng.integers(0, 256, 2)
    if place.clouds:
        over = np.maximum(up, 0.03)
        u = ((dx / length / over * 28).astype(np.int64) + shift[0]) & 255
        v = ((dz / length / over * 28).astype(np.int64) + shift[1]) & 255
        cover = np.clip(noise_tile()[v, u] * 2 + place.clouds * 2 - 1, 0, 1) * np.clip(up * 6, 0, 1)
        out += cover[..., None] * (0.97 - out)
    if place.skyline:
        bearing = (np.arctan2(dx, dz) * 160).astype(np.int64)
        ridge = (
            0.06
            + 0.05 * noise_tile()[shift[0], (bearing // 2 + shift[1]) & 255]
            + 0.015 * noise_tile()[shift[1], (bearing * 3) & 255]
        )
        below = up < ridge
        leaf = 1 + 0.5 * noise_tile()[(up * 900).astype(np.int64) & 255, (bearing * 2) & 255]
        out[below] = (leaf[..., None] * np.array(place.skyline, np.float32))[below]
    return np.asarray(out * out, np.float32)
