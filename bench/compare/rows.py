"""`twinpose compare A B`: what became slower, what was not measured again, whether the machine is the same.

The rules are those of docs/method/compare.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from bench.cells import filter as filter_
from bench.compare import floors, recipe_facts
from bench.compare.changed_verdicts import turned
from bench.compare.records import ComparedCell, ComparedRuns
from bench.compare.sides import Measure, Side
from bench.machine import identity
from bench.statistics.paired import holm, inverse
from bench.statistics.unpaired import Arms, Difference, Looks, differences
from bench.verdicts import ap_differences
from bench.verdicts.comparisons import OPPOSITE
from pose import bootstrap
from pose.errors import UserError


def parse_share(text: str) -> float:
    """Return 0.05 of "5%" or "0.05"; UserError for anything else."""
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*", text)
    value = float(match.group(1)) / (100 if match.group(2) else 1) if match else math.nan
    # A bare 5 would be 500 %, which nobody means.
    if match is None or (not match.group(2) and value >= 1):
        raise UserError(f"--fail-over {text!r} is no share; expected for example 5% or 0.05")
    return value


def compare_sides(
    a: Side,
    b: Side,
    *,
    only: str | None = None,
    fail_over: float = 0.0,
    limits: Mapping[str, float] | None = None,
) -> ComparedRuns:
    """Return what differs between two sides; cells or benchmarks that `only` (-k) selects.

    fail_over: how much longer (0.05 is 5 %) something may take before it has regressed. limits: B's
    floors, by option. Raises UserError when one is a run and the other is not, when A has nothing to
    compare, and for a floor that is for no cell.
    """
    if a.kind != b.kind:
        raise UserError(
            f"{a.name} is a {a.kind} and {b.name} is a {b.kind}; expected two runs or two benchmark files"
        )
    chosen = selected([a, b], only)
    looks = (a.first_look, b.first_look)
    rows = _rows([one for one in a.measures.values() if one.id in chosen], b, fail_over, looks)
    if all(row.status == "nothing in A" for row in rows):
        first = f": {rows[0].id}: {rows[0].reason}" if rows else ""
        raise UserError(f"{a.name} measured nothing that can be compared{first}; expected finished cells")
    comparable = chosen - {row.id for row in rows if row.status == "not comparable"}
    return ComparedRuns(
        a=a.name,
        b=b.name,
        kind=a.kind,
        fail_over=fail_over,
        machine=identity.known_to_differ(a.machine, b.machine),
        environment=identity.differing(a.environment, b.environment),
        protocol=identity.differing(a.protocol, b.protocol),
        recipe=identity.differing(a.recipe, b.recipe) if a.recipe and b.recipe else [],
        resolution={"a": a.resolution, "b": b.resolution},
        rows=sorted(rows, key=_worst_first),
        only_in_b=[name for name in b.measures if name in chosen and name not in a.measures],
        turned=turned(a.comparisons, b.comparisons, comparable),
        floors=floors.check(b, limits or {}, chosen),
    )


def selected(both: Sequence[Side], only: str | None) -> set[str]:
    """Return the names in sides of one kind that `only` (-k) selects; all of them for None."""
    names = list(dict.fromkeys(name for side in both for name in side.measures))
    if only is None:
        return set(names)
    if both[0].kind == "run":
        return {
            cell.id for cell in filter_.select(list(dict.fromkeys(c for s in both for c in s.cells)), only)
        }
    return set(filter_.select_names(names, only))


def _rows(measures: Sequence[Measure], b: Side, fail_over: float, looks: Looks) -> list[ComparedCell]:
    """Return a row for each of A's measures, in their order."""
    rows: dict[str, ComparedCell] = {}
    others = any(one.replica for one in b.measures.values())
    timed: list[tuple[Measure, Measure]] = []
    scored: list[tuple[Measure, Measure]] = []
    for one in measures:
        other = b.measures.get(one.id)
        missing = _missing(one, other)
        exempt = other is None and one.replica and others
        if exempt:
            missing = ("not measured", "the second arm of an A/A pair, which B has of another cell")
        if missing or other is None:
            status, reason = missing or ("not measured", None)
            rows[one.id] = ComparedCell(
                id=one.id, status=status, kind=one.kind, unit=one.unit, reason=reason, exempt=exempt
            )
        elif apart := _made_otherwise(one, other):
            figures = _figures(one, other)
            rows[one.id] = msgspec.structs.replace(figures, status="not comparable", reason=_changes(apart))
        elif one.kind == "accuracy":
            scored.append((one, other))
        else:
            timed.append((one, other))
    arms: list[Arms] = [(one.values, other.values) for one, other in timed]
    for (one, other), found in zip(timed, differences(arms, looks), strict=True):
        rows[one.id] = _timed(one, other, found, fail_over)
    rows |= {row.id: row for row in _accuracies(scored)}
    return [rows[one.id] for one in measures]


def _missing(one: Measure, other: Measure | None) -> tuple[str, str] | None:
    """Return the status and the reason of what cannot be compared; None where it can."""
    if one.trouble:
        return "nothing in A", one.trouble
    if other is None:
        return "not measured", "B has no such cell"
    if apart := identity.known_to_differ(one.network, other.network):
        return "not comparable", f"another network: {_changes(apart)}"
    return ("not measured", other.trouble) if other.trouble else None


def _made_otherwise(one: Measure, other: Measure) -> list[dict[str, Any]]:
    """Return what makes two figures of one network answers to different questions."""
    apart = identity.known_to_differ(one.inputs, other.inputs)
    # The same weights are the same whatever recipe they came from; a step or a loader is the recipe's.
    if one.recipe and other.recipe and not (one.kind == "accuracy" and _same_artifact(one, other)):
        apart += identity.differing(one.recipe, other.recipe)
    return apart


def _same_artifact(one: Measure, other: Measure) -> bool:
    return one.artifact is not None and one.artifact == other.artifact


def _changes(apart: Sequence[dict[str, Any]]) -> str:
    """Return facts that differ in words; of a hash nobody reads more than that."""
    said = [
        f"the {one['what']}s differ" if one["what"] in recipe_facts.HASHES
        else f"{one['what']} {known(one['a'])} -> {known(one['b'])}"
        for one in apart
    ]  # fmt: skip
    return ", ".join(said)


def known(value: Any) -> str:
    """Return a fact in words."""
    return "none" if value is None else str(value)


def _figures(one: Measure, other: Measure) -> ComparedCell:
    """Return a row with the figures of both sides, not yet judged."""
    scored = one.kind == "accuracy"
    n_a, n_b = (1, 1) if scored else (len(one.values), len(other.values))
    return ComparedCell(
        id=one.id, status="compared", kind=one.kind, unit=one.unit,
        a=one.figure, b=other.figure, n_a=n_a, n_b=n_b,
    )  # fmt: skip


def _accuracies(pairs: Sequence[tuple[Measure, Measure]]) -> list[ComparedCell]:
    """Return a judged row for each pair of APs; Holm's correction is over those with an interval."""
    rows = [_resampled(*pair) for pair in pairs]
    adjusted = holm([row.p for row in rows])
    return [_scored(row, p, *pair) for row, p, pair in zip(rows, adjusted, pairs, strict=True)]


NO_INTERVAL = "no interval: scored before matches were kept"
OTHER_WEIGHTS = "other weights, one seed each"


def _resampled(one: Measure, other: Measure) -> ComparedCell:
    """Return a row with B - A, its interval over images and its p, or the reason why it has none."""
    # An AP is what is printed; a thousandth must not be more than a thousandth by rounding.
    difference = round(other.values[-1] - one.values[-1], 12)
    row = msgspec.structs.replace(_figures(one, other), difference=difference)
    a, b = (side.matches() if side.matches else None for side in (one, other))
    if a is None or b is None:
        return msgspec.structs.replace(row, reason=NO_INTERVAL)
    if not np.array_equal(a.people, b.people):
        return msgspec.structs.replace(row, reason="no interval: the people of an image are not the same")
    of_a, of_b = (bootstrap.resampled(side, ap_differences.DRAWS, ap_differences.SEED) for side in (a, b))
    drawn = of_b - of_a
    low, high = bootstrap.interval(drawn)
    if math.isnan(low):
        return msgspec.structs.replace(row, reason="no interval: nobody counts in these images")
    p = bootstrap.p_of_none(difference, drawn)
    return msgspec.structs.replace(row, difference_interval=(low, high), p=p)


def _scored(row: ComparedCell, p_holm: float | None, one: Measure, other: Measure) -> ComparedCell:
    same = _same_artifact(one, other)
    margin = ap_differences.SAME_WEIGHTS if same else ap_differences.OTHER
    # Without the images there is only the difference itself.
    apart = row.difference or 0.0
    verdict = ap_differences.verdict(row.difference_interval or (apart, apart), margin, p_holm)
    return msgspec.structs.replace(
        row,
        status="regressed" if verdict == "lower" else "compared",
        p_holm=p_holm,
        verdict=verdict,
        reason="; ".join(filter(None, [None if same else OTHER_WEIGHTS, row.reason])) or None,
    )


def _timed(one: Measure, other: Measure, found: Difference, fail_over: float) -> ComparedCell:
    both = (("A", one), ("B", other))
    doubts = [f"{side}: uncertified: {measure.uncertified}" for side, measure in both if measure.uncertified]
    doubts += [f"{side}: {measure.doubts}" for side, measure in both if measure.doubts]
    row = msgspec.structs.replace(
        _figures(one, other),
        ratio=found.ratio, interval=found.interval, p=found.p, p_holm=found.p_holm, p_rank=found.p_rank,
        p_equivalence=found.p_equivalence, speedup=found.ratio, speedup_interval=found.interval,
        verdict={"more": "faster", "less": "slower"}.get(found.verdict, found.verdict),
        reason="; ".join(filter(None, [found.reason, *doubts])) or None,
    )  # fmt: skip
    if one.kind == "time":
        ends = found.interval and inverse(found.interval)
        verdict = OPPOSITE.get(row.verdict or "", row.verdict)
        row = msgspec.structs.replace(row, speedup=1 / found.ratio, speedup_interval=ends, verdict=verdict)
    regressed = (
        row.verdict == "slower" and row.speedup_interval and 1 / row.speedup_interval[1] > 1 + fail_over
    )
    return msgspec.structs.replace(row, status="regressed") if regressed else row


def _worst_first(row: ComparedCell) -> tuple[int, float, str]:
    order = ("regressed", "compared", "not comparable", "not measured", "nothing in A")
    # Timings before accuracies, the greatest slowdown and the greatest loss first.
    gain = row.speedup if row.speedup is not None else 1e9 + (row.difference or 0.0)
    return order.index(row.status), gain, row.id
