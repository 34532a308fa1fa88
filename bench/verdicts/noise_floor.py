"""The noise floor of a run: a cell against itself in every bench, and what that says of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from bench.cells.cell import Cell
from bench.cells.protocol import SIGHT
from bench.run.bench_file import NoiseFloor, NoiseLook
from bench.run.results import CellResult
from bench.verdicts import comparisons
from bench.verdicts.comparisons import Comparison


def renewed(
    before: NoiseFloor,
    found: Sequence[Comparison],
    pair: tuple[Cell, Cell],
    stored: Mapping[str, CellResult],
    session: str,
) -> NoiseFloor:
    """Return what a run's A/A pairs say after a bench that measured one.

    before: the same before it; found: the comparisons now; stored: the run's cells by ID; session: the ID
    of that bench. The history has an entry for each time that a pair was measured anew, the one measured
    last at its end; its interval is None where the bench could not tell.
    """
    history = list(before.history)
    look = _look(found, pair, stored)
    same = [i for i, one in enumerate(history) if (one.a, one.began) == (look.a, look.began)]
    if not same:
        history.append(msgspec.structs.replace(look, session=session))
    else:
        known = history[same[-1]]
        newest = max(i for i, one in enumerate(history) if one.a == look.a)
        if msgspec.structs.replace(known, session=None) != look:
            # More rounds of a pair are no other look at it.
            del history[same[-1]]
            history.append(msgspec.structs.replace(look, session=session))
        elif same[-1] != newest:  # they were aside and are back
            history.append(history.pop(same[-1]))
    standing = {one.a for one in found if one.set == comparisons.NOISE_FLOOR and one.interval is not None}
    return judged(history, standing)


def judged(history: Sequence[NoiseLook], standing: Collection[str] | None = None) -> NoiseFloor:
    """Return what A/A pairs say of a run, in the order in which they were measured.

    standing: IDs of second arms whose rounds are still those of the first arm's passes; None for all.
    """
    floors = [(one.b, one.interval, str(one.reason)) for one in history]
    if all(interval is None for _, interval, _ in floors):
        return NoiseFloor(list(history), None, [f"{name}: {why}" for name, _, why in floors[-1:]])
    verdict, reasons = noise_validity(floors)
    return with_sight(NoiseFloor(list(history), verdict, reasons), standing)


def with_sight(floor: NoiseFloor, standing: Collection[str] | None = None) -> NoiseFloor:
    """Return the noise floor with the run's resolution, flagged where that is too coarse or an arm doubtful.

    Each pair's last look counts, if it has an interval and the pair still stands (`judged`): what another
    profile has put aside tells nothing of the rounds there are. What has a resolution is returned as it is:
    only an older version noted none.
    """
    last = {one.b: one for one in floor.history if standing is None or one.a in standing}
    looks = [one for one in last.values() if one.interval is not None]
    if floor.resolution is not None or not looks:
        return floor
    coarse = max(looks, key=lambda one: _reach(one) / _asked(one))
    reasons = [_too_coarse(coarse)] if _reach(coarse) > _asked(coarse) else []
    reasons += [f"the A/A pair is doubtful: {one.reason}" for one in looks if one.reason]
    verdict = "FLAGGED" if reasons and floor.verdict == "VALID" else floor.verdict
    return NoiseFloor(floor.history, verdict, [*floor.reasons, *reasons], max(map(_reach, looks)))


def _reach(look: NoiseLook) -> float:
    return look.resolution or 0.0


def _asked(look: NoiseLook) -> float:
    return max(SIGHT.values()) if look.within is None else look.within


def _too_coarse(look: NoiseLook) -> str:
    low, high = look.interval or (0.0, 0.0)
    return (
        f"this bench cannot see differences below {difference(_reach(look))}: {look.b} against itself gives "
        f"{low:.4f} to {high:.4f}, and its profile asks for {difference(_asked(look))}; "
        "a quieter machine or a longer --profile sees finer"
    )


def difference(share: float) -> str:
    """Return a relative difference in words: 3.1 %, or from 100 % on a factor."""
    return f"{100 * share:.2g} %" if share < 1 else f"a factor of {1 + share:.3g}"


def _look(
    found: Iterable[Comparison], pair: tuple[Cell, Cell], stored: Mapping[str, CellResult]
) -> NoiseLook:
    cell, again = pair[0].id, pair[1].id
    one = next((one for one in found if one.set == comparisons.NOISE_FLOOR and one.a == again), None)
    if one is None or one.interval is None:
        why = (one and one.reason) or "fewer than two rounds of the A/A pair shared a pass"
        return NoiseLook(a=again, b=cell, n=one.n if one else 0, reason=why)
    measured = stored[again]
    return NoiseLook(
        a=again,
        b=cell,
        n=one.n,
        ratio=one.ratio,
        interval=one.interval,
        reason=one.reason,
        within=SIGHT.get(measured.protocol.get("profile", "")),
        began=measured.rounds[0].pass_,
    )


TWICE = ", as in the bench before: a quieter machine, then --again"
ONCE = ": of equal arms one bench in 20 does; --again measures them anew"


def noise_validity(floors: Sequence[tuple[str, Sequence[float] | None, str]]) -> tuple[str, list[str]]:
    """Return the verdict of a run and its reasons, of the A/A pairs of its benches in the order measured.

    floors: (name, interval (low, high), why it is None) of each. Equal arms miss 1 in one of 20 benches. That
    flags a run until the same pair is measured anew, and where the bench before, or that pair's own before,
    missed 1 too (one of 400) the run is invalid. A last bench without an interval flags.
    """
    missed = [interval is not None and not interval[0] <= 1 <= interval[1] for _, interval, _ in floors]
    verdict, reasons = "VALID", []
    for name, last in {name: place for place, (name, _, _) in enumerate(floors)}.items():
        _, interval, why = floors[last]
        if interval is None and last == len(floors) - 1:
            verdict = "FLAGGED" if verdict == "VALID" else verdict
            reasons.append(f"{name} has no interval against itself: {why}; --again measures it anew")
        elif interval is not None and missed[last]:
            of_pair = [place for place in range(last) if floors[place][0] == name]
            twice = any(missed[place] for place in {*of_pair[-1:], *range(max(0, last - 1), last)})
            verdict = "INVALID" if twice or verdict == "INVALID" else "FLAGGED"
            said = f"{name} against itself gives {interval[0]:.4f} to {interval[1]:.4f}, which misses 1"
            reasons.append(said + (TWICE if twice else ONCE))
    return verdict, reasons
