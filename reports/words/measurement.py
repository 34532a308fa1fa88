"""How the bench of a run was measured, how far its figures can be trusted, and what of it may be cited."""

from __future__ import annotations

from typing import Any

from bench.cells.scenarios import LATENCY, THROUGHPUT, TIMED
from bench.run.bench_file import NoiseFloor, NoiseLook
from bench.statistics.samples import counted
from bench.verdicts.noise_floor import difference
from reports import formats
from reports.formats import Absent
from reports.run.read import Run
from reports.words import comparisons
from reports.words.comparisons import NOT_RANKED

NO_INTERVAL = (
    "Timings are of one process for each cell, without a paired interval yet: do not cite their "
    "differences as speed-ups."
)

NO_RULES = ("timeout_s", "altered")
"""Of a protocol, what changes no figure: when a round is given up, and what follows from the rest."""


def has_intervals(run: Run) -> bool:
    """Return whether the run compares in pairs, or every timed cell has several rounds and an interval."""
    if run.comparisons is not None:
        return True
    timed = [c for c in run.cells if c.status == "ok" and c.axes.scenario in TIMED]
    return bool(timed) and all(len(c.rounds) > 1 and c.stats.get("interval") for c in timed)


def noise(run: Run) -> NoiseFloor:
    """Return what the A/A pairs of a run say of it; nothing where there were none."""
    return run.bench.noise if run.bench else NoiseFloor()


def protocol(run: Run) -> dict[str, Any]:
    """Return the protocol of the last bench's matrix as the bench stored it; {} where it did not."""
    return run.bench.matrix.protocol if run.bench else {}


def protocols(run: Run) -> list[tuple[dict[str, Any], list[str]]]:
    """Return by what protocols the timed cells were measured, each with their IDs; those of most cells first.

    A cell of an older version says none: it is taken for the last bench's.
    """
    found: list[tuple[dict[str, Any], list[str]]] = []
    for cell in run.cells:
        if cell.axes.scenario in TIMED and cell.rounds:
            by = cell.protocol or protocol(run)
            # By value: 50 and 50.0 are the same percentile.
            same = next((ids for other, ids in found if _rules(other) == _rules(by)), None)
            if same is None:
                found.append((by, [cell.id]))
            else:
                same.append(cell.id)
    return sorted(found, key=lambda one: -len(one[1])) or [(protocol(run), [])]


def _rules(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in NO_RULES}


def floors(run: Run) -> list[tuple[NoiseLook, tuple[float, float, float]]]:
    """Return the A/A measurements that gave an interval, the run's own last: each with its ratio and ends."""
    return [(one, (one.ratio, *one.interval)) for one in noise(run).history if one.ratio and one.interval]


def noise_floor(run: Run) -> tuple[float, float, float] | None:
    """Return the A/A ratio and the ends of its 95 % interval; None where no pair was measured."""
    return next((found for _, found in reversed(floors(run))), None)


def sight(run: Run) -> str:
    """Return from what difference on the run can tell two cells apart, in a sentence; "" where unknown."""
    found = noise(run).resolution
    return "" if found is None else f"This bench sees differences from {difference(found)}."


def noise_verdict(run: Run) -> str | None:
    """Return VALID, FLAGGED or INVALID; None without an A/A pair: nothing vouches for VALID then."""
    said = noise(run).verdict
    return said if said and (floors(run) or said != "VALID") else None


def verdict(run: Run) -> tuple[str, str, str] | None:
    """Return the bench's verdict, what it rests on, and its status for the page; None without a cell."""
    if not run.cells:
        return None
    said = noise_verdict(run) or ""
    text = " ".join((*_floor_says(run), *_harness_says(run), citable(run)))
    return f"Bench: {said or 'not judged'}.", text, said.lower() or "not judged"


def _floor_says(run: Run) -> list[str]:
    floor = noise_floor(run)
    if floor is None:
        return ["No cell was measured against itself, so the noise floor of this run is unknown."]
    said, (_, low, high) = formats.ratio(floor), floor
    holds = "holds 1" if low <= 1 <= high else "misses 1"
    reasons = noise(run).reasons
    doubt = f" ({'; '.join(reasons)})" if reasons else ""
    floor_said = f"One cell, measured as two arms, against itself: {said}, an interval that {holds}{doubt}."
    return [*filter(None, [sight(run)]), floor_said]


def _harness_says(run: Run) -> list[str]:
    cost = null_us(run, LATENCY.name, "p50")
    return (
        [] if isinstance(cost, Absent) else [f"The harness itself costs {formats.number(cost)} µs a query."]
    )


def null_us(run: Run, scenario: str, percentile: str) -> float | Absent:
    """Return what a query (latency) or a block (throughput) of the null runner costs, in microseconds."""
    known = run.bench.null if run.bench else None
    by_scenario = {LATENCY.name: known.latency_us, THROUGHPUT.name: known.throughput_us} if known else {}
    value = by_scenario.get(scenario, {}).get(percentile)
    return Absent("this bench recorded none") if value is None else value


def citable(run: Run) -> str:
    """Return one plain sentence of what may be cited from the bench, and what may not."""
    if not has_intervals(run):
        return NO_INTERVAL
    if noise(run).verdict == "INVALID":
        return "Nothing of this bench may be cited: identical arms differ, so any difference may be noise."
    if run.comparisons is None:
        return "No comparison was decided, so no difference may be cited."
    counts = comparisons.counts(comparisons.pairs(run))
    if not any(counts.values()):
        return "No two cells of a lane were compared, so no difference may be cited."
    decided, even = counts["faster"] + counts["slower"], counts["equivalent"]
    others = ", ".join(f"{counts[name]} {name}" for name in ("inconclusive", NOT_RANKED) if counts[name])
    if not decided + even:
        return (
            f"No difference may be cited: of {sum(counts.values())} comparisons none is decided ({others})."
        )
    flag = " and the run's flag" if noise(run).verdict == "FLAGGED" else ""
    differences = counted(decided, "difference", "differences")
    equivalences = counted(even, "equivalence", "equivalences")
    return (
        f"May be cited, each with its interval{flag} and for this machine and these versions alone: "
        f"{differences} and {equivalences} of {sum(counts.values())} comparisons; "
        f"{f'not the others ({others}), nor' if others else 'not'} two figures that no comparison pairs."
    )
