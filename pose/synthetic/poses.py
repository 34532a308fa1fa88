"""Joint angles of people who stand, walk, run, sit, crouch, bend, reach: all in degrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pose.synthetic.draws import pick
from pose.synthetic.rotation import about_x, about_y

Range = tuple[float, float]


@dataclass(frozen=True)
class Limb:
    """An arm or a leg.

    raise_deg: 0 hangs down, 90 is level, 180 points up. azimuth_deg: where it is raised to; 0 is
    forward, 90 outward, 180 backward. roll_deg: the azimuth in which a hanging limb would flex.
    flex_deg: elbow or knee, 0 is straight. point_deg: how far the toes point down.
    """

    raise_deg: float
    azimuth_deg: float
    roll_deg: float
    flex_deg: float
    point_deg: float = 0.0

    def turn(self, side: int) -> np.ndarray:
        """Return (3, 3): the rotation of the upper segment in the trunk's frame."""
        rolled = about_x(self.raise_deg) @ about_y(side * (self.roll_deg - self.azimuth_deg))
        return np.asarray(about_y(side * self.azimuth_deg) @ rolled)


@dataclass(frozen=True)
class Pose:
    """Angles of a whole body; `arms` and `legs` are left, right. seated asks for a seat."""

    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]
    lean: float = 0.0
    tilt: float = 0.0
    bend: float = 0.0
    side_bend: float = 0.0
    twist: float = 0.0
    head_yaw: float = 0.0
    head_nod: float = 0.0
    head_tilt: float = 0.0
    seated: bool = False
    airborne_m: float = 0.0


Draw = Callable[[Range], float]


def sample(rng: np.random.Generator) -> Pose:
    """Return one pose, left and right exchanged half of the time."""

    def draw(limits: Range) -> float:
        low, high = limits
        return float(low + (high - low) * rng.beta(2.2, 2.2))

    stance = _STANCES[pick(rng, _STANCE_WEIGHTS)]
    legs, trunk = stance(draw)
    arms = (_free_arm(rng, draw), _free_arm(rng, draw))
    if stance in (_walk, _run) and rng.random() < 0.75:
        arms = _swing(draw, running=stance is _run)
    elif rng.random() < 0.22:
        first, second = _PAIRS[int(rng.integers(len(_PAIRS)))]
        arms = (_draw_limb(draw, first), _draw_limb(draw, second))
    if rng.random() < 0.5:
        legs, arms = (legs[1], legs[0]), (arms[1], arms[0])
    bend = trunk.pop("bend", draw((-6, 14)))
    return Pose(
        arms=arms,
        legs=legs,
        bend=bend,
        side_bend=draw((-12, 12)),
        twist=draw((-25, 25)),
        head_yaw=draw((-50, 50)),
        head_nod=draw((-14, 24)) - 0.45 * max(0.0, bend + trunk.get("lean", 0.0)),
        head_tilt=draw((-14, 14)),
        **trunk,  # type: ignore[arg-type]
    )


def _stand(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    stance = draw((1, 9))
    return (
        _leg(draw((1, 8)), draw((40, 100)), draw((0, 12))),
        _leg(stance, draw((60, 120)), draw((0, 10))),
    ), {"tilt": draw((-4, 4))}


def _wide(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    return (_leg(draw((14, 32)), 85, draw((0, 25))), _leg(draw((14, 32)), 85, draw((0, 45)))), {
        "tilt": draw((-6, 6))
    }


def _walk(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    front = Limb(draw((12, 32)), draw((0, 8)), 0, draw((2, 22)), -10)
    return (front, Limb(draw((8, 24)), 176, 0, draw((8, 42)), 20)), {"lean": draw((0, 8))}


def _run(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    front = Limb(draw((35, 80)), draw((0, 8)), 0, draw((40, 105)))
    return (front, Limb(draw((8, 35)), 177, 0, draw((20, 95)), 30)), {
        "lean": draw((6, 22)),
        "airborne_m": draw((0, 0.08)),
    }


def _sit(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    spread, flex = draw((2, 26)), draw((70, 102))
    legs = tuple(_leg(draw((78, 92)), spread, flex + draw((-12, 12)), roll=spread) for _ in range(2))
    return (legs[0], legs[1]), {"lean": draw((-10, 8)), "bend": draw((-5, 32)), "seated": True}


def _squat(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    spread, depth = draw((5, 40)), draw((60, 118))
    knee = depth + draw((5, 28))
    legs = tuple(_leg(depth + draw((-8, 8)), spread, knee + draw((-8, 8)), roll=spread) for _ in range(2))
    return (legs[0], legs[1]), {"lean": draw((8, 32)), "bend": draw((0, 30))}


def _lunge(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    depth = draw((55, 90))
    return (
        _leg(depth, draw((0, 12)), depth + draw((-10, 10))),
        Limb(draw((15, 35)), 175, 0, draw((10, 65)), 30),
    ), {"lean": draw((0, 22))}


def _kneel(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    up = _leg(draw((82, 98)), draw((0, 15)), draw((84, 100)))
    return (up, Limb(draw((0, 10)), 0, 0, draw((84, 98)), 40)), {
        "lean": draw((-4, 12)),
        "bend": draw((0, 25)),
    }


def _stoop(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    lean, knee = draw((18, 52)), draw((0, 35))
    legs = tuple(_leg(lean + knee / 2 + draw((-6, 6)), draw((3, 18)), knee) for _ in range(2))
    return (legs[0], legs[1]), {"lean": lean, "bend": draw((10, 48))}


def _kick(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    return (
        _leg(draw((35, 100)), draw((0, 60)), draw((0, 50)), point=20),
        _leg(draw((0, 12)), 120, draw((0, 25))),
    ), {"lean": draw((-18, 4))}


def _jump(draw: Draw) -> tuple[tuple[Limb, Limb], dict[str, float]]:
    legs = tuple(_leg(draw((5, 60)), draw((10, 85)), draw((5, 100)), point=25) for _ in range(2))
    return (legs[0], legs[1]), {"lean": draw((-6, 12)), "airborne_m": draw((0.1, 0.4))}


def _leg(
    raise_deg: float, azimuth_deg: float, flex_deg: float, *, roll: float = 6.0, point: float = 0.0
) -> Limb:
    return Limb(raise_deg, azimuth_deg, roll, flex_deg, point)


def _swing(draw: Draw, *, running: bool) -> tuple[Limb, Limb]:
    flex: Range = (70, 110) if running else (8, 45)
    reach: Range = (25, 60) if running else (12, 38)
    back = Limb(draw(reach), draw((160, 178)), draw((-30, 10)), draw(flex))
    return back, Limb(draw(reach), draw((-12, 15)), draw((-30, 0)), draw(flex))


Ranges = tuple[Range, Range, Range, Range]
"""Limits of raise, azimuth, roll and flex."""

_HANG: Ranges = ((4, 16), (50, 110), (-45, 15), (3, 38))
_AKIMBO: Ranges = ((38, 52), (88, 128), (-112, -88), (92, 112))
_FORWARD: Ranges = ((35, 95), (-18, 35), (-25, 20), (0, 65))
_SIDEWAYS: Ranges = ((60, 108), (70, 108), (20, 115), (0, 70))
_OVERHEAD: Ranges = ((130, 172), (30, 100), (20, 110), (0, 60))
_WAVE: Ranges = ((75, 120), (60, 100), (70, 110), (60, 125))
_PHONE: Ranges = ((20, 50), (-15, 25), (-40, -5), (95, 138))
_HOLD: Ranges = ((8, 35), (0, 60), (-60, -20), (70, 110))
_BACK: Ranges = ((15, 42), (140, 178), (-30, 30), (5, 60))
_BEHIND_HEAD: Ranges = ((125, 150), (75, 105), (35, 60), (115, 135))
_ARMS = (_HANG, _AKIMBO, _FORWARD, _SIDEWAYS, _OVERHEAD, _WAVE, _PHONE, _HOLD, _BACK)
_ARM_WEIGHTS = (0.5, 0.1, 0.07, 0.08, 0.08, 0.05, 0.04, 0.06, 0.02)
_PAIRS = (
    (_OVERHEAD, _OVERHEAD), (_SIDEWAYS, _SIDEWAYS), (_AKIMBO, _AKIMBO), (_HOLD, _HOLD),
    (_FORWARD, _FORWARD), (_BEHIND_HEAD, _BEHIND_HEAD), (_SIDEWAYS, _OVERHEAD), (_HANG, _WAVE),
)  # fmt: skip
_STANCES = (_stand, _wide, _walk, _run, _sit, _squat, _lunge, _kneel, _stoop, _kick, _jump)
_STANCE_WEIGHTS = (0.36, 0.14, 0.2, 0.07, 0.1, 0.03, 0.03, 0.02, 0.01, 0.03, 0.01)


def _draw_limb(draw: Draw, ranges: Ranges) -> Limb:
    return Limb(*(draw(limits) for limits in ranges))


def _free_arm(rng: np.random.Generator, draw: Draw) -> Limb:
    return _draw_limb(draw, _ARMS[pick(rng, _ARM_WEIGHTS)])
