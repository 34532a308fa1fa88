"""Deferred shading: colours of the surfaces that the id buffer shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pose.synthetic.noise import noise_at
from pose.synthetic.raster import Buffers, Projected
from pose.synthetic.rotation import unit
from pose.synthetic.solids import Material

PATTERNS = (
    "plain", "rings", "stripes", "checks", "dots", "shirt", "jacket", "print", "jeans",
    "face", "leaves", "wood", "panel",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Light:
    """One far lamp and the sky: `toward` (3,) points at the lamp in the world, colours are linear RGB."""

    toward: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


def shade(view: Projected, buffers: Buffers, light: Light, rotation: np.ndarray) -> np.ndarray:
    """Return planes (3, H, W) float32 linear RGB of the final image's pixels, zero where no surface is seen.

    rotation (3, 3): world to camera. A pixel is the mean of its four samples; where all four see
    one surface, of the two on a diagonal, which halves the work.
    """
    wanted, whole = _samples(buffers.ids)
    flat = np.flatnonzero(wanted)
    planes = np.zeros((3, wanted.size), np.float32)
    if len(flat):
        ids = buffers.ids.ravel().take(flat).astype(np.intp)
        points = _points(view, buffers, flat)
        normal = _normals(view, ids, points)
        local = _local(view, ids, points)
        looks = np.array(view.solids.looks, np.intp)[ids]
        albedo = _albedo(view.solids.materials, looks, local)
        colour = _lit(view.solids.materials, looks, albedo, normal, points, light, rotation)
        colour *= _crevices(buffers).ravel().take(flat)
        for plane, channel in zip(planes, colour, strict=True):
            plane[flat] = channel
    height, width = whole.shape
    weight = whole.astype(np.float32) + 1
    means = np.empty((3, height, width), np.float32)
    for plane, mean in zip(planes, means, strict=True):
        cv2.resize(plane.reshape(wanted.shape), (width, height), dst=mean, interpolation=cv2.INTER_AREA)
    means *= weight
    return means


def _samples(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which samples (h, w) to shade, and which pixels (h/2, w/2) see one surface alone; bool."""
    top, bottom = ids[::2], ids[1::2]
    # Two samples side by side are compared as one number of twice the width.
    whole = top.view(np.int32) == bottom.view(np.int32)
    whole &= top[:, ::2] == top[:, 1::2]
    mixed = ~whole
    wanted = ids >= 0
    wanted[::2, 1::2] &= mixed
    wanted[1::2, ::2] &= mixed
    return wanted, whole


def _points(view: Projected, buffers: Buffers, flat: np.ndarray) -> np.ndarray:
    """(3, n) camera metres of the visible pixels."""
    x, y = view.grid()
    width = buffers.ids.shape[1]
    rows = flat // width
    columns = flat - rows * width
    depth = 1 / buffers.inverse_depth.ravel().take(flat)
    return np.stack(
        [x.astype(np.float32).take(columns) * depth, y.astype(np.float32).take(rows) * depth, depth]
    )


def _normals(view: Projected, ids: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3, n) unit normals in camera coordinates."""
    xx, yy, zz, xy, xz, yz, qx, qy, qz = view.gradient[:9].take(ids, axis=1)
    x, y, z = points
    normal = np.stack(
        [xx * x + xy * y + xz * z + qx, xy * x + yy * y + yz * z + qy, xz * x + yz * y + zz * z + qz]
    )
    normal /= np.sqrt(_dots(normal, normal) + np.float32(1e-20))
    return normal


def _local(view: Projected, ids: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3, n) pattern metres of the visible pixels."""
    table = view.frames.reshape(len(view.frames), 12).T.astype(np.float32)
    m = table.take(ids, axis=1)
    x, y, z = points
    return np.stack([m[4 * i] * x + m[4 * i + 1] * y + m[4 * i + 2] * z + m[4 * i + 3] for i in range(3)])


def _lit(
    materials: list[Material],
    looks: np.ndarray,
    albedo: np.ndarray,
    normal: np.ndarray,
    points: np.ndarray,
    light: Light,
    rotation: np.ndarray,
) -> np.ndarray:
    """(3, n): a wrapped diffuse lamp, a sky from above, a glint, by surface."""
    toward = rotation @ light.toward
    facing = _along(toward, normal)
    diffuse = np.maximum((facing + np.float32(0.15)) * np.float32(1 / 1.15), 0)
    above = np.float32(0.5) - np.float32(0.5) * _along(rotation[:, 1], normal)
    colour = np.empty_like(albedo)
    for channel, key, sky, ground in zip(range(3), light.key, light.sky, light.ground, strict=True):
        level = diffuse * np.float32(key)
        level += above * np.float32(sky - ground)
        level += np.float32(ground)
        np.multiply(level, albedo[channel], out=colour[channel])
    gloss = np.array([m.gloss for m in materials], np.float32)[looks]
    shiny = np.flatnonzero((gloss > 0) & (facing > 0))
    half = points.take(shiny, axis=1)
    half *= -1 / np.sqrt(_dots(half, half))
    half += toward.astype(np.float32)[:, None]
    glint = np.maximum(_dots(half, normal.take(shiny, axis=1)), 0) ** 2 / _dots(half, half)
    glint = gloss[shiny] * glint**8
    colour[:, shiny] += light.key.astype(np.float32)[:, None] * glint
    return colour


def _along(direction: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n,) dot products; by hand, since BLAS would wake threads for so little."""
    a, b, c = direction.astype(np.float32)
    return np.asarray(a * vectors[0] + b * vectors[1] + c * vectors[2])


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) dot products of the columns of two (3, n)."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _crevices(buffers: Buffers) -> np.ndarray:
    """(h, w) factor that darkens what lies just behind something nearer (Luft et al. 2006)."""
    height, width = buffers.ids.shape
    half = cv2.resize(buffers.inverse_depth, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    spread = max(3, width // 60) | 1
    nearer: np.ndarray = cv2.blur(cv2.blur(half, (spread, spread)), (spread, spread))
    nearer -= half
    nearer *= -9.0
    nearer /= np.maximum(half, 0.02)
    np.clip(nearer, -0.4, 0.0, out=nearer)
    nearer += 1.0
    return np.asarray(cv2.resize(nearer, (width, height), interpolation=cv2.INTER_LINEAR))


def _albedo(materials: list[Material], looks: np.ndarray, local: np.ndarray) -> np.ndarray:
    """(3, n) linear reflectance: the material's two colours, mixed by its pattern, mottled."""
    first = np.array([m.colour for m in materials], np.float32).T ** 2
    second = np.array([m.second for m in materials], np.float32).T ** 2
    period = np.array([m.period_m for m in materials], np.float32)
    mottle = np.array([m.mottle for m in materials], np.float32)
    codes = np.array([PATTERNS.index(m.pattern) for m in materials], np.int8)
    pattern = codes[looks]
    albedo = first.take(looks, axis=1)
    x, y, z = local * np.float32(500)
    grain = noise_at((y + 0.4 * x).astype(np.int32), (x + 0.8 * z - 0.3 * y).astype(np.int32))
    for code in sorted(set(codes.tolist())):
        painter = _PAINTERS.get(PATTERNS[code])
        if not painter:
            continue
        which = np.flatnonzero(pattern == code)
        own = looks[which]
        share = painter(local.take(which, axis=1) / period[own], grain[which])
        mixed = albedo.take(which, axis=1)
        mixed += share * (second.take(own, axis=1) - mixed)
        albedo[:, which] = mixed
    faces = np.flatnonzero(pattern == PATTERNS.index("face"))
    if len(faces):
        albedo[:, faces] = _face(
            albedo.take(faces, axis=1),
            second.take(looks[faces], axis=1),
            local.take(faces, axis=1),
            period[looks[faces]],
        )
    grain *= (2 * mottle)[looks]
    grain += 1
    albedo *= grain
    return albedo


def _step(value: np.ndarray) -> np.ndarray:
    return np.asarray(value > 0, np.float32)


def _front(local: np.ndarray) -> np.ndarray:
    """Where the chest faces forward: pattern z ahead."""
    return _step(local[2])


def _shirt(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """A placket and a breast pocket on the left: on the front alone."""
    x, y, _ = local
    placket = _step(0.07 - np.abs(x))
    pocket = _step(0.22 - np.abs(x + 0.5)) * _step(0.25 - np.abs(y + 1.0))
    return np.asarray(np.clip(placket * 0.8 + pocket * 0.6, 0, 1) * _front(local))


def _jacket(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Open in front: the second colour shows between two slanted edges."""
    x, y, _ = local
    return np.asarray(_step(0.28 - 0.18 * y - np.abs(x)) * _front(local))


def _print(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """A disc printed on the chest."""
    x, y, _ = local
    radius = np.sqrt(x * x + (y + 0.9) ** 2)
    return np.asarray((_step(0.62 - radius) - _step(0.45 - radius) + _step(0.25 - radius)) * _front(local))


def _jeans(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Worn pale in front, with a seam at each side."""
    x, _, z = local
    return np.asarray(
        np.clip(0.25 * _front(local) * np.exp(-(x * x) * 8) + 0.2 * _step(0.1 - np.abs(z)), 0, 1)
    )


def _leaves(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Leaves of a few centimetres: bright ones over the dark between them."""
    x, y, z = (local * np.float32(70)).astype(np.int32)
    fine = noise_at(y + z, x - z)
    return np.asarray(np.clip(0.45 + 2.2 * fine + 0.6 * grain, 0, 1))


def _wood(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    x, y, z = local
    return np.asarray(0.5 + 0.4 * np.sin(34 * (y + z) + 2.5 * np.sin(1.3 * x) + 5 * grain) + 0.3 * grain)


def _panel(local: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Flat boards with dark joints: cupboard doors, crates."""
    x, y, _ = np.abs(local - np.floor(local) - 0.5)
    return np.asarray(_step(np.maximum(x, y) - 0.46))


_PAINTERS = {
    "rings": lambda p, g: _step(np.sin(2 * np.pi * p[1])),
    "stripes": lambda p, g: _step(np.sin(2 * np.pi * (p[0] + 0.35 * p[2])) - 0.2),
    "checks": lambda p, g: (
        0.5 * (_step(np.sin(2 * np.pi * p[1])) + _step(np.sin(2 * np.pi * (p[0] + 0.35 * p[2]))))
    ),
    "dots": lambda p, g: _step(np.sin(2 * np.pi * p[1]) * np.sin(2 * np.pi * (p[0] + 0.35 * p[2])) - 0.5),
    "shirt": _shirt,
    "jacket": _jacket,
    "print": _print,
    "jeans": _jeans,
    "leaves": _leaves,
    "wood": _wood,
    "panel": _panel,
}


def _face(albedo: np.ndarray, hair: np.ndarray, local: np.ndarray, half_height: np.ndarray) -> np.ndarray:
    """Paint eyes, brows, mouth and cheeks on a head; y is down, z ahead, the unit a half height."""
    x, y, z = local / half_height
    front = z > 0.2
    side = np.abs(x)
    eye = front & (((side - 0.28) / 0.125) ** 2 + ((y + 0.03) / 0.075) ** 2 < 1)
    iris = eye & (((side - 0.28) / 0.062) ** 2 + ((y + 0.03) / 0.075) ** 2 < 1)
    brow = front & (np.abs(side - 0.29) < 0.15) & (np.abs(y + 0.2 - 0.12 * side) < 0.035)
    mouth = front & ((x / 0.2) ** 2 + ((y - 0.52) / 0.055) ** 2 < 1)
    socket = front & ~eye & (((side - 0.28) / 0.2) ** 2 + ((y + 0.06) / 0.15) ** 2 < 1)
    albedo[:, socket] *= 0.72
    albedo[:, brow] = 0.7 * hair[:, brow] + 0.1 * albedo[:, brow]
    albedo[:, mouth] *= np.array([[0.72], [0.32], [0.34]], np.float32)
    albedo[:, eye] = np.array([[0.8], [0.8], [0.78]], np.float32)
    albedo[:, iris] = np.array([[0.03], [0.02], [0.015]], np.float32)
    return albedo


def lamp(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """Return (3,) unit, world: toward a lamp; azimuth 0 is far ahead, 90 right, 180 behind the camera."""
    a, e = np.radians([azimuth_deg, elevation_deg])
    return unit(np.array([np.cos(e) * np.sin(a), -np.sin(e), np.cos(e) * np.cos(a)]))
