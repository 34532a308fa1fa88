"""Tiles and pictures for floors, walls and facades: (h, w, 3) float32 sRGB in [0, 1]."""

from __future__ import annotations

import colorsys
from functools import cache

import cv2
import numpy as np

from pose.synthetic.draws import pick
from pose.synthetic.noise import fractal_noise, noise_tile

TILE = 256
Colour = tuple[float, float, float]


def hsv(
    rng: np.random.Generator, hue: tuple[float, float], sat: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """Return an sRGB colour drawn from ranges of hue, saturation and value."""
    shares = zip(rng.random(3).tolist(), (hue, sat, value), strict=True)
    h, s, v = (low + (high - low) * share for share, (low, high) in shares)
    return colorsys.hsv_to_rgb(h % 1.0, s, v)


@cache
def fine_noise() -> np.ndarray:
    """Return (256, 256) float32 in [-1, 1]: the grain of grass, sand and asphalt."""
    return fractal_noise(0.55, 12)


@cache
def streaks() -> np.ndarray:
    """Return (256, 256) float32 in [-1, 1]: noise drawn out along x, the grain of wood."""
    narrow = cv2.resize(fine_noise()[:, :32], (TILE, TILE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(narrow + 0.4 * noise_tile(), np.float32)


def speckled(rng: np.random.Generator, colour: Colour, grain: float, blotch: float) -> np.ndarray:
    """Grass, sand, asphalt, carpet, plaster: a colour under fine and coarse noise."""
    return _speckled(rng.integers(0, TILE, 2), colour, grain, blotch)


def _speckled(shift: np.ndarray, colour: Colour, grain: float, blotch: float) -> np.ndarray:
    level = grain * fine_noise()
    level += 1
    level += blotch * np.roll(noise_tile(), shift.tolist(), (0, 1))
    return tinted(level, colour)


def tinted(level: np.ndarray, colour: Colour) -> np.ndarray:
    """Return (h, w, 3): `colour` times a brightness (h, w) float32."""
    return np.asarray(cv2.merge([level * np.float32(channel) for channel in colour]))


def tiled(texture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the texture repeated, as np.tile does, many times faster."""
    return np.asarray(cv2.repeat(texture, rows, columns))


def planks(rng: np.random.Generator, colour: Colour, rows: int = 8) -> np.ndarray:
    """Floorboards along x, four lengths to a tile."""
    out = np.full((TILE, TILE, 3), 0.5 * np.array(colour), np.float32)
    step = TILE // rows
    tone = rng.uniform(0.8, 1.1, (rows, 3)).astype(np.float32)
    for r in range(rows):
        offset = int(rng.integers(0, TILE))
        level = np.roll(np.repeat(tone[r], [90, 80, 86]), offset)[None] * (
            1 + 0.16 * streaks()[r * step : (r + 1) * step]
        )
        out[r * step : (r + 1) * step] = tinted(level, colour)
        out[r * step] *= 0.62
        for seam in (0, 90, 170):
            out[r * step : (r + 1) * step, (seam + offset) % TILE] *= 0.66
    return out


def slabs(
    rng: np.random.Generator, colour: Colour, joint: Colour, across: int, second: Colour | None = None
) -> np.ndarray:
    """Square tiles or paving, `across` to a side; with `second`, a chessboard."""
    out = speckled(rng, colour, 0.04, 0.08)
    tone = rng.uniform(0.92, 1.06, (across, across)).astype(np.float32)
    size = TILE // across
    if second:
        board = np.add.outer(np.arange(across), np.arange(across)) % 2 == 1
        mask = np.kron(board, np.ones((size, size), bool))
        out[: mask.shape[0], : mask.shape[1]][mask] *= np.array(second, np.float32) / np.array(
            colour, np.float32
        )
    level = np.kron(tone, np.ones((size, size), np.float32))
    out[: level.shape[0], : level.shape[1]] *= level[..., None]
    for k in range(across):
        out[k * size : k * size + 3] = joint
        out[:, k * size : k * size + 3] = joint
    return out


def bricks(rng: np.random.Generator, colour: Colour, rows: int = 16) -> np.ndarray:
    """Stretcher bond, `rows` courses to a tile."""
    return _bricks(rng.integers(0, TILE, 2), rng.uniform(0.75, 1.15, (rows, rows // 2)), colour)


def _bricks(shift: np.ndarray, tones: np.ndarray, colour: Colour) -> np.ndarray:
    out = _speckled(shift, colour, 0.1, 0.12)
    rows = len(tones)
    step, width = TILE // rows, TILE // (rows // 2)
    tone = tones.astype(np.float32)
    mortar = np.array([0.72, 0.7, 0.66], np.float32)
    for r in range(rows):
        course = out[r * step : (r + 1) * step]
        offset = (r % 2) * width // 2
        course *= np.roll(np.repeat(tone[r], width), offset)[None, :, None]
        for seam in range(0, TILE, width):
            course[:, (seam + offset) % TILE] = mortar
        course[:2] = mortar
    return out


def _striped_wall(shift: np.ndarray, colour: Colour) -> np.ndarray:
    """Wallpaper with broad vertical stripes."""
    out = _speckled(shift, colour, 0.01, 0.04)
    stripe = (np.arange(TILE) // (TILE // 16)) % 2 == 0
    out[:, stripe] *= 0.88
    return out


def wall(rng: np.random.Generator, paint: Colour) -> np.ndarray:
    """The wall of a room: painted, papered with stripes or of bare brick."""
    plaster, paper = rng.integers(0, TILE, 2), rng.integers(0, TILE, 2)
    brick = hsv(rng, (0.0, 0.08), (0.2, 0.5), (0.5, 0.8))
    shift, tones = rng.integers(0, TILE, 2), rng.uniform(0.75, 1.15, (16, 8))
    kind = pick(rng, (0.65, 0.2, 0.15))
    if kind == 2:
        return _bricks(shift, tones, brick)
    return _striped_wall(paper, paint) if kind else _speckled(plaster, paint, 0.01, 0.05)


def facade(rng: np.random.Generator, floors: int) -> np.ndarray:
    """A house front, 8 m wide and 3 m a floor: windows, sills, a shop or doors at street level."""
    wall = (
        hsv(rng, (0.02, 0.15), (0.05, 0.5), (0.5, 0.9))
        if rng.random() < 0.8
        else hsv(rng, (0.5, 0.7), (0.05, 0.3), (0.5, 0.85))
    )
    base = bricks(rng, wall) if rng.random() < 0.35 else speckled(rng, wall, 0.04, 0.1)
    out = tiled(base, -(-floors * 96 // TILE), 1)[: floors * 96]
    columns = int(rng.integers(3, 6))
    pane, frame = (
        hsv(rng, (0.5, 0.65), (0.1, 0.5), (0.15, 0.45)),
        (0.92, 0.91, 0.88) if rng.random() < 0.6 else (0.25, 0.2, 0.18),
    )
    width = TILE // columns
    half = int(width * rng.uniform(0.22, 0.36))
    for row in range(floors - 1):
        for column in range(columns):
            x, y = column * width + width // 2, row * 96 + 46
            _window(rng, out, (x - half, y - 28), (x + half, y + 26), pane, frame)
        if row and rng.random() < 0.4:
            cv2.rectangle(out, (0, row * 96 - 4), (TILE, row * 96), [c * 0.8 for c in wall], -1)
    _street_level(rng, out, (floors - 1) * 96, columns, pane, frame)
    return out


def _street_level(
    rng: np.random.Generator, out: np.ndarray, y: int, columns: int, pane: Colour, frame: Colour
) -> None:
    if rng.random() < 0.55:
        sign = hsv(rng, (0, 1), (0.3, 0.9), (0.3, 0.85))
        cv2.rectangle(out, (0, y), (TILE, y + 20), sign, -1)
        for x in range(24, TILE - 40, 14):
            if rng.random() < 0.6:
                cv2.rectangle(out, (x, y + 7), (x + 8, y + 14), (0.95, 0.93, 0.85), -1)
        for x in range(6, TILE, 84):
            _window(rng, out, (x, y + 26), (x + 72, y + 80), pane, frame)
        return
    for column in range(columns):
        width = TILE // columns
        x = column * width + width // 2
        if rng.random() < 0.35:
            door = hsv(rng, (0, 1), (0.2, 0.7), (0.2, 0.5))
            cv2.rectangle(out, (x - 17, y + 28), (x + 17, y + 96), door, -1)
            cv2.rectangle(out, (x - 17, y + 28), (x + 17, y + 96), frame, 2)
        else:
            _window(rng, out, (x - 18, y + 24), (x + 18, y + 72), pane, frame)


def _window(
    rng: np.random.Generator,
    out: np.ndarray,
    low: tuple[int, int],
    high: tuple[int, int],
    pane: Colour,
    frame: Colour,
) -> None:
    glass = np.array(pane) * rng.uniform(0.7, 1.5)
    cv2.rectangle(out, low, high, [float(c) for c in glass], -1)
    middle = (low[0] + high[0]) // 2
    cv2.line(out, (low[0], high[1]), (middle, low[1]), [float(min(1, c * 1.7 + 0.05)) for c in glass], 3)
    if rng.random() < 0.3:
        cv2.rectangle(
            out,
            low,
            (high[0], low[1] + int((high[1] - low[1]) * rng.uniform(0.2, 0.6))),
            (0.8, 0.78, 0.72),
            -1,
        )
    cv2.line(out, (middle, low[1]), (middle, high[1]), frame, 2)
    cv2.rectangle(out, low, high, frame, 2)
    cv2.line(out, (low[0] - 3, high[1] + 2), (high[0] + 3, high[1] + 2), [c * 0.85 for c in frame], 3)


def shelves(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A wall of shelves with goods or books on them."""
    back = hsv(rng, (0.05, 0.12), (0.1, 0.4), (0.25, 0.6))
    out = np.empty((height, width, 3), np.float32)
    out[:] = back
    rows = max(2, height // 24)
    step = height // rows
    for r in range(rows):
        x, bottom = 2, (r + 1) * step - 3
        while x < width - 8:
            w, h = int(rng.integers(4, 13)), int(step * rng.uniform(0.5, 0.85))
            if rng.random() < 0.88:
                cv2.rectangle(
                    out, (x, bottom - h), (x + w - 1, bottom), hsv(rng, (0, 1), (0.15, 0.85), (0.3, 0.95)), -1
                )
            x += w
        cv2.rectangle(out, (0, bottom), (width, bottom + 3), [c * 1.4 for c in back], -1)
    return out


def vista(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """What a window shows: bright sky over trees or roofs."""
    out = np.empty((height, width, 3), np.float32)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    out[:] = (1 - ramp) * np.array([0.6, 0.78, 0.97], np.float32) + ramp * np.array(
        [0.93, 0.96, 0.98], np.float32
    )
    skyline = height * (0.6 + 0.25 * noise_tile()[int(rng.integers(256))][(np.arange(width) * 2) % 256])
    green = np.arange(height)[:, None] > skyline[None]
    out[green] = hsv(rng, (0.2, 0.35), (0.3, 0.6), (0.35, 0.6))
    return out


def picture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A framed painting: a few broad areas of colour."""
    out = np.empty((height, width, 3), np.float32)
    out[:] = hsv(rng, (0, 1), (0.1, 0.5), (0.6, 0.95))
    for _ in range(4):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(
            out,
            centre,
            int(rng.integers(3, max(4, height // 2))),
            hsv(rng, (0, 1), (0.2, 0.8), (0.2, 0.9)),
            -1,
        )
    cv2.rectangle(out, (0, 0), (width - 1, height - 1), hsv(rng, (0.05, 0.1), (0.2, 0.6), (0.1, 0.5)), 2)
    return out


def court_lines(rng: np.random.Generator, floor: np.ndarray, sets: int) -> None:
    """Paint `sets` games' lines and circles on a square floor (h, h, 3), in place."""
    size = floor.shape[0]
    for _ in range(sets):
        colour = (0.95, 0.95, 0.93) if rng.random() < 0.6 else hsv(rng, (0, 1), (0.5, 0.9), (0.4, 0.9))
        at = [int(v) for v in rng.integers(0, size, 3)]
        floor[at[0] : at[0] + 6] = colour
        floor[:, at[1] : at[1] + 6] = colour
        cv2.circle(floor, (at[1], at[0]), int(rng.integers(120, 200)), colour, 6)
