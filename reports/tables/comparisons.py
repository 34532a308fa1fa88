"""The table of paired comparisons: who is faster, by how much, how sure, and who is not ranked."""

from __future__ import annotations

from reports.formats import Absent, Value, probability, times, times_interval
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table
from reports.words import comparisons as comparisons_
from reports.words.comparisons import NOISE_FLOOR, NOT_RANKED, Pair


def comparisons(run: Run) -> Table | None:
    """Return a row for each pair of cells, ranked or not; None where the bench compared none."""
    found = comparisons_.pairs(run)
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
        rows=tuple(Row(_values(pair), comparisons_.group(pair), muted=_muted(pair)) for pair in found),
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
    found, cell = pair.found, pair.a or pair.b
    return (
        *pair.names,
        *_said(pair),
        *(pair.verdict, found.n),
        *_probabilities(pair),
        pair.reason or Absent("nothing is doubtful", shown="", quiet=True),
        *(cell.axes.lane.id if cell else str(found.lane), found.set_, found.scenario, found.a, found.b),
        *_exact(pair),
    )


def _absent(pair: Pair) -> Absent:
    return Absent(pair.reason or NOT_RANKED, quiet=True)


def _said(pair: Pair) -> tuple[Value, Value]:
    """Return speed-up and interval as people read them."""
    if _muted(pair) or pair.speedup is None:
        return _absent(pair), _absent(pair)
    value, low, high = pair.speedup
    return times(value, high - low), times_interval(low, high)


def _probabilities(pair: Pair) -> tuple[Value, Value]:
    """Return p under Holm and p of no equivalence; figures of what is not ranked are not shown."""
    noise = pair.found.set_ == NOISE_FLOOR and not _muted(pair)
    no = Absent("the noise floor asks another question", quiet=True) if noise else _absent(pair)
    if _muted(pair):
        return no, no
    p_holm, outside = pair.found.p_holm, pair.found.p_equivalence
    return no if p_holm is None else p_holm, _absent(pair) if outside is None else outside


def _exact(pair: Pair) -> tuple[Value, ...]:
    """Return speed-up, ratio, the ends of both and p in full precision."""
    found = pair.found
    if _muted(pair) or pair.speedup is None or found.ratio is None or found.interval is None:
        return (_absent(pair),) * 7
    return *pair.speedup, found.ratio, *found.interval, _absent(pair) if found.p is None else found.p
