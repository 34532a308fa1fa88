"""Depth and id buffers of quadrics and polygons, exact under perspective.

A quadric p'Qp = 0 met by the ray p = v / w (w the inverse depth) gives
Q44 w^2 + 2 (q.v) w + v'Q33 v = 0, whose greater root is the nearest hit. Its discriminant is a
quadratic polynomial of the pixel, and so costs a handful of array operations per surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pose.synthetic.camera import Camera
from pose.synthetic.rotation import cross
from pose.synthetic.solids import Solids

SUPERSAMPLE = 2
NEAR_M = 0.25
_SUBPIXEL_BITS = 4


@dataclass(frozen=True, eq=False)
class Buffers:
    """inverse_depth (h, w) float32, 0 where empty; ids (h, w) int16 of the surface seen, -1 where empty."""

    inverse_depth: np.ndarray
    ids: np.ndarray


Clip = tuple[np.ndarray, np.ndarray, np.float32, bool]
"""A bound on the root w: row (h,) + column (w,) + c w >= 0; and, where the flag is set, <= w."""


@dataclass(frozen=True, eq=False)
class Projected:
    """The solids seen by a camera, N of them, ready to be rasterised and shaded.

    windows: N times x0, y0, x1, y1 in supersampled pixels, empty where out of view.
    root_rows (N, 3, h) and root_columns (N, 2, w): the parts of a root that depend on the row or on
    the column of its window alone. clips: of each solid, such parts of the planes that cut it.
    gradient (10, N): Q33's xx yy zz xy xz yz, then q, so that a normal is Q33 p + q.
    frames (N, 3, 4): camera metres to pattern metres.
    """

    solids: Solids
    size: tuple[int, int]
    focal_px: float
    windows: list[list[int]]
    root_rows: np.ndarray
    root_columns: np.ndarray
    clips: list[list[Clip]]
    polygons_px: list[np.ndarray | None]
    gradient: np.ndarray
    frames: np.ndarray

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x (w,) and y (h,): normalised camera coordinates of the supersampled columns and rows."""
        width, height = self.size
        x = (np.arange(width) + 0.5 - width / 2) / self.focal_px
        y = (np.arange(height) + 0.5 - height / 2) / self.focal_px
        return x, y


def project(solids: Solids, camera: Camera) -> Projected:
    """Return what rasterising and shading need, computed for all solids at once."""
    size = (camera.size[0] * SUPERSAMPLE, camera.size[1] * SUPERSAMPLE)
    focal_px = camera.focal_px * SUPERSAMPLE
    seen = camera.extrinsic @ np.array(solids.transforms)
    inverse = np.linalg.inv(seen)
    taper = np.array(solids.tapers)
    quadrics = inverse.transpose(0, 2, 1) @ _local_quadrics(taper) @ inverse
    planes = np.einsum("ni,nij->nj", np.array(solids.clips), inverse)
    windows = _windows(seen, taper, size, focal_px)
    polygons: list[np.ndarray | None] = [None] * len(windows)
    for i, corners in enumerate(solids.polygons):
        if len(corners):
            polygons[i], windows[i], quadrics[i] = _polygon(corners, camera, size, focal_px)
    world = np.linalg.inv(camera.extrinsic)
    x, y = _RAMP[: (windows[:, 2] - windows[:, 0]).max()], _RAMP[: (windows[:, 3] - windows[:, 1]).max()]
    root_rows, root_columns = _root_lines(_root_polynomials(quadrics, windows, size, focal_px), x, y)
    bounds = _clip_polynomials(inverse, planes, taper, windows, size, focal_px)
    return Projected(
        solids, size, focal_px, windows.tolist(), root_rows, root_columns,
        clips=_clip_lines(bounds, x, y),
        polygons_px=polygons,
        gradient=np.stack([quadrics[:, i, j] for i, j in _UPPER]).astype(np.float32),
        frames=np.array(solids.frames) @ world,
    )  # fmt: skip


_UPPER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (3, 3))


def rasterise(view: Projected, which: range, into: Buffers | None = None) -> Buffers:
    """Return the buffers after drawing the solids numbered `which` over a copy of `into`."""
    width, height = view.size
    if into is None:
        buffers = Buffers(np.zeros((height, width), np.float32), np.full((height, width), -1, np.int16))
    else:
        buffers = Buffers(into.inverse_depth.copy(), into.ids.copy())
    with np.errstate(invalid="ignore"):
        for i in which:
            x0, y0, x1, y1 = view.windows[i]
            if x1 <= x0 or y1 <= y0:
                continue
            depth = buffers.inverse_depth[y0:y1, x0:x1]
            draw = _draw_quadric if view.polygons_px[i] is None else _draw_polygon
            value, hit = draw(view, i, depth)
            np.copyto(depth, value, where=hit)
            np.copyto(buffers.ids[y0:y1, x0:x1], np.int16(i), where=hit)
    return buffers


def _draw_quadric(view: Projected, i: int, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    h, w = depth.shape
    slope, constant, linear = view.root_rows[i, :, :h, None]
    square, across = view.root_columns[i, :, :w]
    root = slope * _RAMP[:w]
    root += constant
    root += square
    np.sqrt(root, out=root)
    root -= linear + across
    hit = root > depth
    for row, column, slant, two_sided in view.clips[i]:
        bound = root * slant
        bound += row[:h, None] + column[:w]
        hit &= bound >= 0
        if two_sided:
            hit &= bound <= root
    return root, hit


def _draw_polygon(view: Projected, i: int, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    h, w = depth.shape
    value = view.root_rows[i, 2, :h, None] + view.root_columns[i, 1, :w]
    mask = np.zeros((h, w), np.uint8)
    corners = view.polygons_px[i]
    assert corners is not None
    shifted = np.round((corners - view.windows[i][:2] - 0.5) * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.fillConvexPoly(mask, shifted, 1, shift=_SUBPIXEL_BITS)
    hit = value > depth
    hit &= mask.view(bool)
    return value, hit


_RAMP = np.arange(4096, dtype=np.float32)


def _local_quadrics(taper: np.ndarray) -> np.ndarray:
    """Unit sphere where `taper` is NaN; else x^2 + z^2 = (1 + taper y)^2."""
    quadrics = np.zeros((len(taper), 4, 4))
    quadrics[:, 0, 0] = quadrics[:, 2, 2] = 1.0
    quadrics[:, 3, 3] = -1.0
    sphere = np.isnan(taper)
    k = np.where(sphere, 0.0, taper)
    quadrics[:, 1, 1] = np.where(sphere, 1.0, -k * k)
    quadrics[:, 1, 3] = quadrics[:, 3, 1] = -k
    return quadrics


def _windows(seen: np.ndarray, taper: np.ndarray, size: tuple[int, int], focal_px: float) -> np.ndarray:
    """(N, 4) pixel windows: of an ellipsoid's outline, or of the ellipses at a tube's two ends."""
    sphere = np.isnan(taper)
    start = seen.copy()
    start[~sphere, :, 1] = 0.0
    end = start.copy()
    end[~sphere, :, 3] = (seen[:, :, 3] + seen[:, :, 1])[~sphere]
    end[~sphere, :, 0] *= 1 + taper[~sphere, None]
    end[~sphere, :, 2] *= 1 + taper[~sphere, None]
    low1, high1, front1 = _outline(start)
    low2, high2, front2 = _outline(end)
    centre = np.array(size) / 2
    low = np.clip(np.floor(np.minimum(low1, low2) * focal_px + centre), 0, size)
    high = np.clip(np.ceil(np.maximum(high1, high2) * focal_px + centre) + 1, 0, size)
    windows = np.concatenate([low, high], axis=1).astype(np.int64)
    windows[~(front1 & front2)] = 0
    return windows


def _outline(transform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the least and greatest normalised x, y (N, 2) of ellipsoids, and whether all lies in front."""
    dual = (transform[:, :3] * np.array([1.0, 1.0, 1.0, -1.0])) @ transform[:, :3].transpose(0, 2, 1)
    extent = np.sqrt(np.maximum(dual[:, 2, 2] + transform[:, 2, 3] ** 2, 0))
    front = transform[:, 2, 3] - extent > NEAR_M
    scale = np.where(front, dual[:, 2, 2], -1.0)[:, None]
    middle = np.stack([dual[:, 0, 2], dual[:, 1, 2]], axis=1)
    square = np.stack([dual[:, 0, 0], dual[:, 1, 1]], axis=1)
    half = np.sqrt(np.maximum(middle**2 - square * scale, 0))
    return (middle + half) / scale, (middle - half) / scale, front


def _polygon(
    corners: np.ndarray, camera: Camera, size: tuple[int, int], focal_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a polygon's pixels (N, 2), window (4,) and plane as a quadric (4, 4) without square terms."""
    seen = camera.to_camera(corners)
    normal = cross(seen[-1] - seen[0], seen[1] - seen[0])
    distance = float(normal @ seen[0])
    quadric = np.zeros((4, 4))
    if seen[:, 2].min() < NEAR_M or distance > -1e-9:
        quadric[3, 3] = 1.0
        return np.zeros((0, 2)), np.zeros(4, np.int64), quadric
    pixels = seen[:, :2] / seen[:, 2:] * focal_px + np.array(size) / 2
    low = np.clip(np.floor(pixels.min(0)), 0, size)
    high = np.clip(np.ceil(pixels.max(0)) + 1, 0, size)
    quadric[:3, 3] = quadric[3, :3] = normal
    quadric[3, 3] = -distance
    return pixels, np.concatenate([low, high]).astype(np.int64), quadric


def _root_polynomials(
    quadrics: np.ndarray, windows: np.ndarray, size: tuple[int, int], focal_px: float
) -> np.ndarray:
    """(N, 9): the discriminant's d00 d01 d11 d02 d12 d22 and the linear b0 b1 b2.

    Both are polynomials of the pixel, counted from the window's corner. Moving the origin there
    in double precision is what lets the raster pass run in single.
    """
    c = quadrics[:, 3, 3]
    c = np.where(np.abs(c) < 1e-12, 1e-12, c)
    b = quadrics[:, :3, 3] / c[:, None]
    flat = (quadrics[:, :3, :3] == 0).all(axis=(1, 2))
    d = b[:, :, None] * b[:, None, :] - quadrics[:, :3, :3] / c[:, None, None]
    moved = _to_window(windows, size, focal_px)
    d = moved.transpose(0, 2, 1) @ d @ moved
    b = np.einsum("ni,nij->nj", b, moved)
    b[flat] *= -1.0
    columns = [d[:, 0, 0], 2 * d[:, 0, 1], d[:, 1, 1], 2 * d[:, 0, 2], 2 * d[:, 1, 2], d[:, 2, 2], *b.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _clip_polynomials(
    inverse: np.ndarray,
    planes: np.ndarray,
    taper: np.ndarray,
    windows: np.ndarray,
    size: tuple[int, int],
    focal_px: float,
) -> np.ndarray:
    """(N, 2, 5): c0 c1 c2 by window pixel, c3 by inverse depth; kind 0 none, 1 >= 0, 2 within 0 and w."""
    moved = _to_window(windows, size, focal_px)
    bounds = np.zeros((len(taper), 2, 5), np.float32)
    tube = ~np.isnan(taper)
    for slot, rows, kind in (
        (0, inverse[:, 1], 2 * tube),
        (1, planes, 1 * (np.abs(planes[:, :3]).sum(1) > 1e-12)),
    ):
        bounds[:, slot, :3] = np.einsum("ni,nij->nj", rows[:, :3], moved)
        bounds[:, slot, 3] = rows[:, 3]
        bounds[:, slot, 4] = kind
    return bounds


def _root_lines(roots: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3, h) and (N, 2, w) of `Projected`, of all solids at once: dozens of tiny operations cost more."""
    d00, d01, d11, d02, d12, d22, b0, b1, b2 = roots.T[:, :, None]
    rows = np.stack([d01 * y, (d11 * y + d12) * y + d22, b1 * y + b2], axis=1)
    return rows, np.stack([(d00 * x + d02) * x, b0 * x], axis=1)


def _clip_lines(bounds: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[list[Clip]]:
    solids, slots = np.nonzero(bounds[..., 4])
    c0, c1, c2, c3, kind = bounds[solids, slots].T
    rows, columns = c1[:, None] * y + c2[:, None], c0[:, None] * x
    clips: list[list[Clip]] = [[] for _ in bounds]
    for solid, *clip in zip(solids.tolist(), rows, columns, c3, (kind == 2).tolist(), strict=True):
        clips[solid].append((clip[0], clip[1], clip[2], clip[3]))
    return clips


def _to_window(windows: np.ndarray, size: tuple[int, int], focal_px: float) -> np.ndarray:
    """(N, 3, 3): (dx, dy, 1) pixels from a window's corner to normalised camera coordinates (x, y, 1)."""
    moved = np.zeros((len(windows), 3, 3))
    moved[:, 0, 0] = moved[:, 1, 1] = 1 / focal_px
    moved[:, :2, 2] = (windows[:, :2] + 0.5 - np.array(size) / 2) / focal_px
    moved[:, 2, 2] = 1.0
    return moved
