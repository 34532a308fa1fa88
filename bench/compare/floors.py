"""What a run must reach whatever another one did: floors under its figures, for somebody's CI.

The rules are those of docs/method/compare.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import msgspec

from bench.cells.scenarios import SCENARIOS
from bench.compare.sides import Measure, Side
from pose.errors import UserError

MIN_AP, MAX_MS, MIN_IMAGES_PER_S = "--min-ap", "--max-ms", "--min-images-per-s"
UNITS = {MIN_AP: "AP", MAX_MS: "ms", MIN_IMAGES_PER_S: "images/s"}
"""By option: the unit of the scenarios that it is for."""


class CheckedFloor(msgspec.Struct, frozen=True, kw_only=True):
    """One cell, held against one floor."""

    option: str
    limit: float
    id: str
    value: float | None
    """The figure that `compare` prints; None where the cell has none."""
    unit: str
    met: bool
    reason: str | None = None
    """Why there is no figure, or what makes it doubtful."""
    uncertified: str | None = None
    """Why the parity ladder does not vouch for it; None where it does."""


def check(side: Side, limits: Mapping[str, float], chosen: Collection[str]) -> list[CheckedFloor]:
    """Return every `chosen` cell of a run, held against each floor of its unit.

    limits: by option. A cell without a figure has missed its floor, unless this machine cannot run it. Raises
    UserError for a floor under nothing: a job that checks nothing must not pass.
    """
    found = []
    for option, limit in limits.items():
        if not math.isfinite(limit):
            raise UserError(f"{option} {limit} is no floor; expected a number, such as 30")
        cells = [
            one for name, one in side.measures.items()
            if name in chosen and one.unit == UNITS[option] and one.supported and not one.replica
        ]  # fmt: skip
        if not cells:
            raise UserError(_for_nothing(side, option, limit, len(chosen)))
        found += [_checked(one, option, limit) for one in cells]
    return found


def _for_nothing(side: Side, option: str, limit: float, chosen: int) -> str:
    scenarios = " or ".join(one.name for one in SCENARIOS.values() if one.unit == UNITS[option])
    return (
        f"{option} {limit:g} is for no cell: none of the {chosen} selected of {side.name} is measured in "
        f"{UNITS[option]}; expected a cell of {scenarios}"
    )


def _checked(one: Measure, option: str, limit: float) -> CheckedFloor:
    value = None if one.trouble else one.figure
    # A mean of 30 and 30 is 30 but for its last bit.
    met = value is not None and (
        math.isclose(value, limit) or (value < limit if option == MAX_MS else value > limit)
    )
    return CheckedFloor(
        option=option, limit=limit, id=one.id, value=value, unit=one.unit, met=met,
        reason=one.trouble or one.doubts, uncertified=one.uncertified,
    )  # fmt: skip


def missed(checks: Sequence[CheckedFloor]) -> list[CheckedFloor]:
    """Return the floors that were not met."""
    return [one for one in checks if not one.met]
