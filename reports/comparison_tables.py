"""The table of paired comparisons: who is faster, by how much, how sure, and who is not ranked."""

from __future__ import annotations

from reports import comparing
from reports.comparing import NOISE_FLOOR, NOT_RANKED, Pair
from reports.formats import Absent, Value, probability, times, times_interval
from reports.parts import command
from reports.run import Run
from reports.table import Column, Row, Table


def comparisons(run: Run) -> Table | None:
    """Return a row for each pair of cells, ranked or not; None where the bench compared none."""
    found = comparing.pairs(run)
    if not found:
        return None
    return Table(
        name="comparisons",
        title="Comparisons",
        columns=(
            Column("a_name", "A"),
            Column("b_name", "against B"),
            Column("speedup_said", "A is faster by", kind="number"),
            Column("interval_said", "95 % interval", kind="number"),
            Column("verdict", "A is", kind="status"),
            Column("n", "Pairs", kind="number"),
            Column("p_holm", "p Holm", probability, "number"),
            Column("p_equivalence", "p outside ±2 %", probability, "number"),
            Column("reason", "Doubts, or why there is no verdict"),
            *(Column(key, key, only_csv=True) for key in CSV_ONLY),
        ),
        rows=tuple(Row(_values(pair), comparing.group(pair), muted=_muted(pair)) for pair in found),
        note="Each is the geometric mean of paired ratios, a pair being two rounds of one pass. Equivalent "
        "is within 2 % by two one-sided tests and goes before any difference; faster and slower hold for "
        "all together (Holm, 5 %); inconclusive is what is neither. INVALID cells are not ranked.",
        command=command(run, "bench"),
        source="bench/comparisons.json",
        grouped_by="Lane and set",
    )


CSV_ONLY = (
    *("lane", "set", "scenario", "a", "b", "speedup", "speedup_low", "speedup_high"),
    *("ratio", "ratio_low", "ratio_high", "p"),
)


def _muted(pair: Pair) -> bool:
    return pair.verdict == NOT_RANKED


def _values(pair: Pair) -> tuple[Value, ...]:
    found, no = pair.found, Absent(pair.reason or NOT_RANKED, quiet=True)
    ranked = pair.verdict != NOT_RANKED and pair.speedup is not None
    value, low, high = pair.speedup if ranked and pair.speedup else (0.0, 0.0, 1.0)
    noise = found.set_ == NOISE_FLOOR
    holm = Absent("the noise floor asks another question", quiet=True) if noise else no
    ends = found.interval if ranked and found.interval else (no, no)
    cell = pair.a or pair.b
    return (
        *pair.names,
        *((times(value, high - low), times_interval(low, high)) if ranked else (no, no)),
        *(pair.verdict, found.n),
        *(_p(found.p_holm, holm), _p(found.p_equivalence, no)),
        pair.reason or Absent("nothing is doubtful", shown="", quiet=True),
        *(cell.axes.lane.id if cell else str(found.lane), found.set_, found.scenario, found.a, found.b),
        *((value, low, high) if ranked else (no, no, no)),
        *(found.ratio if ranked and found.ratio is not None else no, *ends, _p(found.p, no)),
    )


def _p(value: float | None, no: Absent) -> Value:
    return no if value is None else value
