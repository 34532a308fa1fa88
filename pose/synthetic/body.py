"""Proportions of a body and its joints in space, from a pose's angles.

Segment lengths as fractions of stature follow Winter, Biomechanics and Motor Control of
Human Movement (2009), table 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pose.synthetic.poses import Limb, Pose
from pose.synthetic.rotation import about_x, about_y, about_z, columns, cross, unit

SIDES = (-1, 1)
"""Left, right: the sign of x in a person's own frame."""


@dataclass(frozen=True)
class Build:
    """Stature in metres; breadth, hips and head relative to an average adult."""

    stature_m: float
    breadth: float
    hips: float
    head: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Build:
        """Return an adult or, one time in seven, a child."""
        if rng.random() < 0.14:
            return cls(
                rng.uniform(1.1, 1.45), rng.uniform(0.9, 1.1), rng.uniform(0.9, 1.0), rng.uniform(1.18, 1.3)
            )
        return cls(
            min(max(rng.normal(1.71, 0.09), 1.5), 1.95),
            min(max(rng.normal(1.0, 0.1), 0.82), 1.3),
            rng.uniform(0.9, 1.12),
            rng.uniform(0.97, 1.06),
        )


_FACE = np.array(
    [[0, 0.24, 1.1], [-0.42, -0.03, 0.92], [0.42, -0.03, 0.92], [-1.0, 0.08, -0.05], [1.0, 0.08, -0.05]]
)
"""Nose tip, eyes and ears in halves of the head's width, height and depth."""


@dataclass(frozen=True, eq=False)
class Arm:
    """Joints (3,) in world metres; rotations (3, 3) of both segments, whose y runs along them."""

    shoulder: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    upper: np.ndarray
    lower: np.ndarray


@dataclass(frozen=True, eq=False)
class Leg:
    """As Arm; `foot` (3, 3) has z toward the toes and y toward the sole."""

    hip: np.ndarray
    knee: np.ndarray
    ankle: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    foot: np.ndarray


@dataclass(frozen=True, eq=False)
class Body:
    """A posed body: left and right limbs in that order, rotations and origins of the trunk."""

    build: Build
    pelvis: np.ndarray
    pelvis_turn: np.ndarray
    waist: np.ndarray
    chest_turn: np.ndarray
    neck: np.ndarray
    head: np.ndarray
    head_turn: np.ndarray
    arms: tuple[Arm, Arm]
    legs: tuple[Leg, Leg]

    @property
    def head_size(self) -> np.ndarray:
        """Return (3,) half width, half height and half depth of the head, metres."""
        return np.array([0.0455, 0.068, 0.057]) * (self.build.stature_m * self.build.head)

    def face_points(self) -> np.ndarray:
        """Return (5, 3) world: nose tip, left eye, right eye, left ear, right ear."""
        return np.asarray(self.head + (_FACE * self.head_size) @ self.head_turn.T)

    def moved(self, by: np.ndarray) -> Body:
        """Return the body shifted by (3,) metres."""
        arms = [Arm(a.shoulder + by, a.elbow + by, a.wrist + by, a.upper, a.lower) for a in self.arms]
        legs = [Leg(g.hip + by, g.knee + by, g.ankle + by, g.upper, g.lower, g.foot) for g in self.legs]
        centres = {name: getattr(self, name) + by for name in ("pelvis", "waist", "neck", "head")}
        return replace(self, arms=(arms[0], arms[1]), legs=(legs[0], legs[1]), **centres)

    @cached_property
    def keypoints(self) -> np.ndarray:
        """Return (17, 3) world positions of the COCO joints."""
        arms = [
            joint
            for name in ("shoulder", "elbow", "wrist")
            for joint in (getattr(a, name) for a in self.arms)
        ]
        legs = [
            joint for name in ("hip", "knee", "ankle") for joint in (getattr(leg, name) for leg in self.legs)
        ]
        return np.concatenate([self.face_points(), np.array(arms), np.array(legs)])


def pose_body(build: Build, pose: Pose, ground_xz: tuple[float, float], heading_deg: float) -> Body:
    """Return the body standing on the ground (y = 0) at `ground_xz`; heading 0 looks away from the camera."""
    body = _assemble(build, pose, np.zeros(3), heading_deg)
    return body.moved(np.array([ground_xz[0], -_lowest(body) - pose.airborne_m, ground_xz[1]]))


def _assemble(build: Build, pose: Pose, pelvis: np.ndarray, heading_deg: float) -> Body:
    h = build.stature_m
    pelvis_turn = about_y(heading_deg) @ about_x(-pose.lean) @ about_z(pose.tilt)
    chest_turn = pelvis_turn @ about_y(pose.twist) @ about_x(-pose.bend) @ about_z(pose.side_bend)
    waist = pelvis + pelvis_turn @ np.array([0.0, -0.09 * h, 0.0])
    neck = waist + chest_turn @ np.array([0.0, -0.212 * h, 0.0])
    head_turn = chest_turn @ about_y(pose.head_yaw) @ about_x(-pose.head_nod) @ about_z(pose.head_tilt)
    head = (
        neck
        + chest_turn @ np.array([0.0, -0.03 * h, 0.006 * h])
        + head_turn @ np.array([0.0, -0.067 * h, 0.014 * h])
    )
    arms = tuple(
        _arm(build, side, limb, waist, chest_turn) for side, limb in zip(SIDES, pose.arms, strict=True)
    )
    legs = tuple(
        _leg(build, side, limb, pelvis, pelvis_turn) for side, limb in zip(SIDES, pose.legs, strict=True)
    )
    return Body(
        build,
        pelvis,
        pelvis_turn,
        waist,
        chest_turn,
        neck,
        head,
        head_turn,
        (arms[0], arms[1]),
        (legs[0], legs[1]),
    )


def _arm(build: Build, side: int, limb: Limb, waist: np.ndarray, chest_turn: np.ndarray) -> Arm:
    h = build.stature_m
    lift = 0.03 * max(0.0, limb.raise_deg - 80) / 100
    shoulder = waist + chest_turn @ np.array(
        [side * 0.108 * h * build.breadth**0.6, -(0.193 + lift) * h, 0.0]
    )
    upper = chest_turn @ limb.turn(side)
    lower = upper @ about_x(limb.flex_deg)
    elbow = shoulder + upper[:, 1] * (0.176 * h)
    return Arm(shoulder, elbow, elbow + lower[:, 1] * (0.15 * h), upper, lower)


def _leg(build: Build, side: int, limb: Limb, pelvis: np.ndarray, pelvis_turn: np.ndarray) -> Leg:
    h = build.stature_m
    hip = pelvis + pelvis_turn @ np.array([side * 0.054 * h * build.hips, 0.0, 0.0])
    upper = pelvis_turn @ limb.turn(side)
    lower = upper @ about_x(-limb.flex_deg)
    knee = hip + upper[:, 1] * (0.245 * h)
    ankle = knee + lower[:, 1] * (0.246 * h)
    return Leg(hip, knee, ankle, upper, lower, _foot(lower, side, limb.point_deg))


def _foot(lower: np.ndarray, side: int, point_deg: float) -> np.ndarray:
    """A foot stays level as far as the ankle allows, then its toes point down by `point_deg`."""
    level = float(np.degrees(np.arctan2(lower[1, 2], lower[1, 1])))
    angle = min(max(min(max(level, -45.0), 22.0) - point_deg, -55.0), 22.0)
    turned = lower @ about_y(side * 9.0) @ about_x(angle)
    forward = unit(turned[:, 2])
    right = unit(cross(turned[:, 1], forward))
    return columns(right, cross(forward, right), forward)


def _lowest(body: Body) -> float:
    """The greatest y (down) any part reaches, metres."""
    h = body.build.stature_m
    reach = [body.pelvis[1] + 0.07 * h]
    for leg in body.legs:
        toes = leg.ankle + leg.foot @ np.array([0.0, 0.036 * h, 0.1 * h])
        heel = leg.ankle + leg.foot @ np.array([0.0, 0.036 * h, -0.035 * h])
        reach += [toes[1], heel[1], leg.knee[1] + 0.035 * h]
    reach += [arm.wrist[1] + 0.03 * h for arm in body.arms]
    return float(max(reach))
