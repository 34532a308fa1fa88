"""A person's surfaces: flesh, clothes, hair and shoes over a posed body."""

from __future__ import annotations

import numpy as np

from pose.synthetic.body import SIDES, Arm, Body, Leg
from pose.synthetic.solids import Solids, frame_of
from pose.synthetic.wardrobe import Outfit

TRUNK, HEAD = 1, 2
UPPER_ARM, FOREARM, HAND = (10, 11), (12, 13), (14, 15)
THIGH, SHIN, FOOT = (20, 21), (22, 23), (24, 25)
BELONGINGS = 30
"""Parts: left and right in that order. Belongings hide the body as any other thing does."""


class Dressmaker:
    """Adds one dressed body to the solids of a scene; materials are registered once."""

    def __init__(self, solids: Solids, body: Body, outfit: Outfit) -> None:
        self.solids, self.body, self.outfit = solids, body, outfit
        self.h = body.build.stature_m
        self.wide = body.build.breadth
        self.skin = solids.material(outfit.skin)
        self.top = solids.material(outfit.top)
        self.sleeve = solids.material(outfit.sleeve)
        self.trousers = solids.material(outfit.trousers)
        self.chest_frame = frame_of(body.waist, body.chest_turn)
        self.pelvis_frame = frame_of(body.pelvis, body.pelvis_turn)

    def dress(self) -> None:
        """Add every surface."""
        self._trunk()
        for i, side in enumerate(SIDES):
            self._arm(i, self.body.arms[i])
            self._leg(i, side, self.body.legs[i])
        if self.outfit.skirt:
            self._skirt()
        self._head()
        self._hair()
        if self.outfit.bag:
            self._bag()

    def _trunk(self) -> None:
        body, h, s = self.body, self.h, self.solids
        chest, pelvis = body.chest_turn, body.pelvis_turn
        thick = self.wide * (0.9 + 0.1 * self.outfit.looseness)
        hips = h * body.build.hips * self.wide**0.5
        low = body.pelvis + pelvis @ np.array([0, 0.012 * h, -0.008 * h])
        s.ellipsoid(
            low,
            pelvis,
            (0.098 * hips, 0.062 * h, 0.068 * hips),
            self.trousers,
            TRUNK,
            frame=self.pelvis_frame,
        )
        belly = body.waist + chest @ np.array([0, 0.012 * h, 0.004 * h])
        s.ellipsoid(
            belly,
            chest,
            (0.085 * h * thick, 0.085 * h, 0.06 * h * thick),
            self.top,
            TRUNK,
            frame=self.chest_frame,
        )
        s.tube(
            body.pelvis + pelvis @ np.array([0, -0.028 * h, 0]),
            body.waist + chest @ np.array([0, -0.12 * h, 0]),
            (0.09 * h * thick, 0.1 * h * thick), self.top, TRUNK,
            across=chest[:, 0], flat=0.66, frame=self.chest_frame,
        )  # fmt: skip
        upper = body.waist + chest @ np.array([0, -0.125 * h, 0.0])
        s.ellipsoid(
            upper,
            chest,
            (0.104 * h * thick, 0.095 * h, 0.07 * h * thick),
            self.top,
            TRUNK,
            frame=self.chest_frame,
        )
        base = body.neck + chest @ np.array([0, 0.012 * h, -0.004 * h])
        for arm in body.arms:
            s.tube(
                base,
                arm.shoulder,
                (0.034 * h, 0.036 * h),
                self.top,
                TRUNK,
                across=chest[:, 2],
                frame=self.chest_frame,
            )
        if self.outfit.belt:
            belt = s.material(self.outfit.belt)
            s.tube(
                body.pelvis + pelvis @ np.array([0, -0.04 * h, 0]),
                body.pelvis + pelvis @ np.array([0, -0.018 * h, 0]),
                (0.096 * h * max(thick, hips / h),) * 2, belt, TRUNK, across=pelvis[:, 0], flat=0.69,
            )  # fmt: skip

    def _arm(self, i: int, arm: Arm) -> None:
        h, s, length = self.h, self.solids, self.outfit.sleeve_length
        r = h * self.wide**0.5
        cloth = 1.0 + 0.12 * self.outfit.looseness
        upper = self.sleeve if length > 0.5 else self.skin
        lower = self.sleeve if length > 0.5 else self.skin
        fit = cloth if length > 0.5 else 1.0
        across = arm.upper[:, 0]
        frame = frame_of(arm.shoulder, arm.upper)
        shoulder = self.sleeve if length > 0 else self.skin
        grown = cloth if length > 0 else 1.0
        s.ball(arm.shoulder, 0.0335 * r * grown, shoulder, UPPER_ARM[i], frame)
        s.tube(
            arm.shoulder,
            arm.elbow,
            (0.029 * r * fit, 0.0235 * r * fit),
            upper,
            UPPER_ARM[i],
            across=across,
            frame=frame,
        )
        if 0 < length <= 0.5:
            end = arm.shoulder + (arm.elbow - arm.shoulder) * (2 * length)
            s.tube(
                arm.shoulder, end, (0.0335 * r * cloth, 0.034 * r * cloth), self.sleeve, UPPER_ARM[i],
                across=across, frame=frame,
            )  # fmt: skip
        lower_frame = frame_of(arm.elbow, arm.lower)
        s.ball(arm.elbow, 0.0235 * r * fit, lower, FOREARM[i], lower_frame)
        s.tube(
            arm.elbow,
            arm.wrist,
            (0.0245 * r * fit, 0.0165 * r * fit),
            lower,
            FOREARM[i],
            across=across,
            frame=lower_frame,
        )
        along = arm.lower[:, 1]
        s.ball(arm.wrist, 0.0165 * r, self.skin, HAND[i], lower_frame)
        s.ellipsoid(
            arm.wrist + along * (0.042 * h), arm.lower, (0.013 * h, 0.046 * h, 0.022 * h), self.skin, HAND[i]
        )
        thumb = arm.wrist + along * (0.034 * h) + arm.lower[:, 2] * (0.022 * h)
        s.ellipsoid(thumb, arm.lower, (0.009 * h, 0.025 * h, 0.009 * h), self.skin, HAND[i])

    def _leg(self, i: int, side: int, leg: Leg) -> None:
        h, s, length = self.h, self.solids, self.outfit.trouser_length
        r = h * self.wide**0.5
        cloth = 1.0 + 0.1 * self.outfit.looseness
        thigh = self.trousers if length > 0.5 else self.skin
        shin = self.trousers if length > 0.8 else self.skin
        knee_fit, ankle_fit = (cloth if length > 0.5 else 1.0), (cloth * 1.15 if length > 0.8 else 1.0)
        across = leg.upper[:, 0]
        frame, lower_frame = frame_of(leg.hip, leg.upper), frame_of(leg.knee, leg.lower)
        s.ball(leg.hip, 0.056 * r, self.trousers, THIGH[i], frame)
        s.tube(
            leg.hip,
            leg.knee,
            (0.053 * r * knee_fit, 0.034 * r * knee_fit),
            thigh,
            THIGH[i],
            across=across,
            frame=frame,
        )
        if length <= 0.5:
            end = leg.hip + (leg.knee - leg.hip) * (2 * length)
            s.tube(
                leg.hip, end, (0.058 * r * cloth, (0.06 - 0.024 * length) * r * cloth), self.trousers,
                THIGH[i], across=across, frame=frame,
            )  # fmt: skip
        s.ball(leg.knee, 0.034 * r * knee_fit, thigh, THIGH[i], frame)
        calf = leg.knee + leg.lower[:, 1] * (0.075 * h) - leg.lower[:, 2] * (0.008 * h)
        s.tube(
            leg.knee,
            leg.ankle,
            (0.032 * r * ankle_fit, 0.021 * r * ankle_fit),
            shin,
            SHIN[i],
            across=across,
            frame=lower_frame,
        )
        s.ellipsoid(calf, leg.lower, (0.033 * r, 0.075 * h, 0.034 * r), shin, SHIN[i], frame=lower_frame)
        s.ball(leg.ankle, 0.023 * r, self.skin if length < 0.8 else shin, SHIN[i], lower_frame)
        self._shoe(i, leg)

    def _shoe(self, i: int, leg: Leg) -> None:
        h, s = self.h, self.solids
        shoe, sole = s.material(self.outfit.shoe), s.material(self.outfit.sole)
        flat = (0.0, -1.0, 0.0, 0.55)
        middle = leg.ankle + leg.foot @ np.array([0, 0.018 * h, 0.033 * h])
        s.ellipsoid(middle, leg.foot, (0.029 * h, 0.032 * h, 0.078 * h), shoe, FOOT[i], clip=flat)
        heel = leg.ankle + leg.foot @ np.array([0, 0.006 * h, -0.008 * h])
        s.ellipsoid(heel, leg.foot, (0.025 * h, 0.034 * h, 0.03 * h), shoe, FOOT[i])
        under = leg.ankle + leg.foot @ np.array([0, 0.032 * h, 0.033 * h])
        s.ellipsoid(under, leg.foot, (0.029 * h, 0.008 * h, 0.078 * h), sole, FOOT[i])

    def _skirt(self) -> None:
        body, h = self.body, self.h
        assert self.outfit.skirt is not None
        look = self.solids.material(self.outfit.skirt)
        knees = (body.legs[0].knee + body.legs[1].knee) / 2
        top = body.pelvis - body.pelvis_turn[:, 1] * (0.03 * h)
        end = top + (knees - top) * self.outfit.skirt_length
        spread = float(np.linalg.norm(body.legs[0].knee - body.legs[1].knee)) / 2 * self.outfit.skirt_length
        wide = 0.098 * h * max(self.wide, body.build.hips)
        hem = max(wide * 1.25, min(spread + 0.05 * h, wide * 2.0))
        self.solids.tube(
            top,
            end,
            (wide, hem),
            look,
            TRUNK,
            across=body.pelvis_turn[:, 0],
            flat=0.72,
            frame=self.pelvis_frame,
        )

    def _head(self) -> None:
        body, s = self.body, self.solids
        w, hh, d = body.head_size
        turn = body.head_turn
        face_frame = frame_of(body.head, turn)
        look = self.outfit.face
        face = s.material(type(look)(look.colour, look.second, "face", float(hh), look.gloss, look.mottle))

        def at(x: float, y: float, z: float) -> np.ndarray:
            return np.asarray(body.head + turn @ np.array([x * w, y * hh, z * d]))

        s.tube(
            body.neck + body.chest_turn @ np.array([0, 0.02, 0]), at(0, 0.25, -0.2),
            (0.033 * self.h, 0.03 * self.h), self.skin, HEAD, across=turn[:, 0],
        )  # fmt: skip
        s.ellipsoid(at(0, -0.15, -0.03), turn, (w, hh * 0.85, d), face, HEAD, frame=face_frame)
        s.ellipsoid(at(0, 0.3, 0.22), turn, (w * 0.8, hh * 0.7, d * 0.74), face, HEAD, frame=face_frame)
        s.ellipsoid(at(0, 0.18, 0.98), turn, (w * 0.17, hh * 0.2, d * 0.17), self.skin, HEAD)
        for side in SIDES:
            s.ellipsoid(at(side * 1.0, 0.08, -0.08), turn, (w * 0.13, hh * 0.24, d * 0.2), self.skin, HEAD)

    def _hair(self) -> None:
        body, s, style = self.body, self.solids, self.outfit.hair_style
        w, hh, d = body.head_size
        turn = body.head_turn

        def blob(
            at: tuple[float, float, float],
            half: tuple[float, float, float],
            look: int,
            clip: tuple[float, ...],
        ) -> None:
            centre = body.head + turn @ (np.array(at) * (w, hh, d))
            a, b, c, e = clip
            s.ellipsoid(centre, turn, (half[0] * w, half[1] * hh, half[2] * d), look, HEAD, clip=(a, b, c, e))

        whole = (0.0, 0.0, 0.0, 1.0)
        hair = s.material(self.outfit.hair)
        if style != "bald":
            blob((0, -0.17, -0.07), (1.09, 0.93, 1.07), hair, (0.0, -1.0, -0.62, 0.05))
        if style == "long":
            blob((0, 0.35, -0.62), (1.05, 1.3, 0.6), hair, whole)
        elif style == "bob":
            blob((0, 0.15, -0.4), (1.16, 0.95, 0.78), hair, whole)
        elif style == "bun":
            blob((0, -0.75, -0.85), (0.5, 0.4, 0.42), hair, whole)
        elif style == "tail":
            blob((0, 0.25, -1.25), (0.3, 0.85, 0.28), hair, whole)
        if self.outfit.hat:
            hat = s.material(self.outfit.hat)
            blob((0, -0.25, -0.04), (1.14, 0.95, 1.13), hat, (0.0, -1.0, -0.12, -0.28))
            blob((0, -0.54, 0.95), (0.8, 0.08, 0.75), hat, whole)

    def _bag(self) -> None:
        body, h = self.body, self.h
        assert self.outfit.bag is not None
        look = self.solids.material(self.outfit.bag)
        centre = body.waist + body.chest_turn @ np.array([0, -0.09 * h, -0.115 * h])
        self.solids.ellipsoid(centre, body.chest_turn, (0.085 * h, 0.13 * h, 0.07 * h), look, BELONGINGS)
