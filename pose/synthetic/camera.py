"""The pinhole camera of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose.synthetic.rotation import about_x, about_z


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera above the origin of the ground (y = 0, y down), looking along +z.

    focal_px and centre_px are in pixels of the final image, corner coordinates: the first
    pixel covers [0, 1). rotation (3, 3) and position (3,) take world metres to camera metres.
    """

    size: tuple[int, int]
    focal_px: float
    rotation: np.ndarray
    position: np.ndarray

    @classmethod
    def aimed(
        cls, size: tuple[int, int], focal_px: float, height_m: float, pitch_deg: float, roll_deg: float
    ) -> Camera:
        """Return a camera `height_m` above the ground, tilted down by `pitch_deg`."""
        rotation = about_z(roll_deg) @ about_x(pitch_deg)
        return cls(size, focal_px, rotation, np.array([0.0, -height_m, 0.0]))

    @property
    def centre_px(self) -> tuple[float, float]:
        return self.size[0] / 2, self.size[1] / 2

    @property
    def extrinsic(self) -> np.ndarray:
        """Return (4, 4): homogeneous world to camera."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = -self.rotation @ self.position
        return matrix

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Return world points (N, 3) in the camera's frame, metres."""
        return np.asarray((points - self.position) @ self.rotation.T)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return image corner coordinates (N, 2) and depths (N,) of world points (N, 3)."""
        seen = self.to_camera(np.asarray(points, float))
        depth = np.maximum(seen[:, 2], 1e-3)
        return seen[:, :2] / depth[:, None] * self.focal_px + self.centre_px, seen[:, 2]

    def rays(self, turn: np.ndarray) -> np.ndarray:
        """Return (3, H, W) float32: the direction through each pixel's centre, at depth one.

        turn (3, 3): its columns are the axes, in the world, in which the directions are given.
        """
        width, height = self.size
        x = ((np.arange(width) + 0.5 - width / 2) / self.focal_px).astype(np.float32)
        y = ((np.arange(height) + 0.5 - height / 2) / self.focal_px).astype(np.float32)[:, None]
        rows = (turn.T @ self.rotation.T).astype(np.float32)
        return np.stack([a * x + (b * y + c) for a, b, c in rows])
