"""The noise floor of a run: a cell against itself in every bench, and what that says of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.cells.cell import Cell
from bench.run.bench_file import NoiseFloor, NoiseLook
from bench.run.results import CellResult
from bench.verdicts import comparisons
from bench.verdicts.comparisons import Comparison


def renewed(
    before: NoiseFloor,
    found: Iterable[Comparison],
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
    return judged(history)


def judged(history: Sequence[NoiseLook]) -> NoiseFloor:
    """Return what A/A pairs say of a run, in the order in which they were measured."""
    floors = [(one.b, one.interval, str(one.reason)) for one in history]
    if all(interval is None for _, interval, _ in floors):
        return NoiseFloor(list(history), None, [f"{name}: {why}" for name, _, why in floors[-1:]])
    verdict, reasons = noise_validity(floors)
    return NoiseFloor(list(history), verdict, reasons)


def _look(
    found: Iterable[Comparison], pair: tuple[Cell, Cell], stored: Mapping[str, CellResult]
) -> NoiseLook:
    cell, again = pair[0].id, pair[1].id
    one = next((one for one in found if one.set == comparisons.NOISE_FLOOR and one.a == again), None)
    if one is None or one.interval is None:
        why = (one and one.reason) or "fewer than two rounds of the A/A pair shared a pass"
        return NoiseLook(a=again, b=cell, n=one.n if one else 0, reason=why)
    began = stored[again].rounds[0].pass_
    return NoiseLook(a=again, b=cell, n=one.n, ratio=one.ratio, interval=one.interval, began=began)


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
            reasons.append(f"{name} has no interval against itself: {why}")
        elif interval is not None and missed[last]:
            of_pair = [place for place in range(last) if floors[place][0] == name]
            twice = any(missed[place] for place in {*of_pair[-1:], *range(max(0, last - 1), last)})
            verdict = "INVALID" if twice or verdict == "INVALID" else "FLAGGED"
            said = f"{name} against itself gives {interval[0]:.4f} to {interval[1]:.4f}, which misses 1"
            reasons.append(said + (", as in the bench before" if twice else ""))
    return verdict, reasons
