"""The table of paired comparisons: who is faster, by how much, how sure, and who is not ranked."""

from __future__ import annotations

from typing import Any

from reports.formats import Absent, Noted, probability, times, times_interval
from reports.frames.comparison_rows import comparison_row
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import Column, Row, Table, csv_only
from reports.words import comparisons as comparisons_
from reports.words import measurement
from reports.words.comparisons import NOT_RANKED, RankedPair

NOTE = (
    "Each is the geometric mean of paired ratios, a pair being two rounds of one pass. Equivalent is within "
    "2 % by two one-sided tests and goes before any difference; faster and slower hold for all together "
    "(Holm, 5 %); inconclusive is what is neither. An interval is of its pair alone and p Holm is of all "
    "together, so an interval may leave out 1 beside inconclusive. Of two twins alone in a lane, A is "
    "the faster. INVALID cells are not ranked. A letter leads to what is doubtful."
)


def comparisons(run: Run) -> Table | None:
    """Return a row for each pair of cells, ranked or not; None where the bench compared none."""
    found = comparisons_.pairs(run)
    if not found:
        return None
    columns = (
        Column("a_name", "A"),
        Column("b_name", "against B"),
        Column("speedup_said", "A is faster by", kind="number"),
        Column("interval_said", "95 % interval", kind="number"),
        Column("verdict", "A is", kind="status"),
        Column("n", "Pairs", kind="number"),
        Column("p_holm", "p Holm", probability, "number"),
        Column("p_equivalence", "p outside ±2 %", probability, "number"),
        *csv_only("reason", "lane", "set", "scenario", "a", "b", "speedup", "speedup_low", "speedup_high"),
        *csv_only("ratio", "ratio_low", "ratio_high", "p"),
    )
    return Table(
        name="comparisons",
        title="Comparisons",
        columns=columns,
        rows=tuple(
            Row(
                tuple(_said(pair)[column.key] for column in columns),
                comparisons_.group(pair),
                muted=pair.verdict == NOT_RANKED,
            )
            for pair in found
        ),
        note=f"{NOTE} {comparisons_.first_look(run)} {measurement.sight(run)}".replace("  ", " ").strip(),
        command=command(run, "bench"),
        source="bench/comparisons.json",
        grouped_by="Lane and set",
        baseline=True,
    )


def _said(pair: RankedPair) -> dict[str, Any]:
    """Return a row of the frame, with speed-up and interval as people read them."""
    row: dict[str, Any] = dict(comparison_row(pair))
    value, low, high = row["speedup"], row["speedup_low"], row["speedup_high"]
    if pair.reasons:
        row["verdict"] = Noted(pair.verdict, pair.reasons)
    if isinstance(value, Absent):
        return row | {"speedup_said": value, "interval_said": value}
    return row | {"speedup_said": times(value, high - low), "interval_said": times_interval(low, high)}
