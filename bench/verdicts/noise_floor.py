"""The noise floor of a run: a cell against itself in every bench, and what that says of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cells.cell import Cell
from bench.run import results as results_
from bench.verdicts import comparisons
from bench.verdicts.comparisons import Comparison


def renewed(
    run: Path, before: Mapping[str, Any], found: Iterable[Comparison], pair: tuple[Cell, Cell], sitting: str
) -> dict[str, Any]:
    """Return {"history", "verdict", "reasons"} of a run after a bench that measured an A/A pair.

    before: the same before it; found: the comparisons now. The history has an entry for each time that
    a pair was measured anew, the one measured last at its end; its interval is null where the bench
    could not tell. The verdict is None where no bench of the run could.
    """
    history = [one for one in before.get("history", []) if isinstance(one, dict)]
    entry = _entry(run, found, pair)
    began = (entry["a"], entry["began"])
    same = [i for i, one in enumerate(history) if (one["a"], one.get("began")) == began]
    if not same:
        history.append({**entry, "sitting": sitting})
    else:
        known = history[same[-1]]
        newest = max(i for i, one in enumerate(history) if one["a"] == entry["a"])
        if any(known.get(name) != value for name, value in entry.items()):
            # More rounds of a pair are no other look at it.
            del history[same[-1]]
            history.append({**entry, "sitting": sitting})
        elif same[-1] != newest:  # they were aside and are back
            history.append(history.pop(same[-1]))
    return {"history": history, **judged(history)}


def judged(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return {"verdict", "reasons"} of a run, of its A/A pairs in the order in which they were measured."""
    floors = [(str(one["b"]), one["interval"], str(one.get("reason"))) for one in history]
    if all(interval is None for _, interval, _ in floors):
        return {"verdict": None, "reasons": [f"{name}: {why}" for name, _, why in floors[-1:]]}
    return noise_validity(floors)


def _entry(run: Path, found: Iterable[Comparison], pair: tuple[Cell, Cell]) -> dict[str, Any]:
    cell, again = pair[0].id, pair[1].id
    named: dict[str, Any] = {"a": again, "b": cell}
    one = next((one for one in found if one.set == comparisons.NOISE_FLOOR and one.a == again), None)
    if one is None or one.interval is None:
        why = (one and one.reason) or "fewer than two rounds of the A/A pair shared a pass"
        n = one.n if one else 0
        return {**named, "n": n, "ratio": None, "interval": None, "reason": why, "began": None}
    began = results_.read(results_.folder(run) / f"{again}.json").rounds[0].pass_
    return {**named, "n": one.n, "ratio": one.ratio, "interval": list(one.interval), "began": began}


def noise_validity(floors: Sequence[tuple[str, Sequence[float] | None, str]]) -> dict[str, Any]:
    """Return {"verdict", "reasons"} of a run, of the A/A pairs of its benches in the order measured.

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
    return {"verdict": verdict, "reasons": reasons}
