"""A row for each two cells that were compared, ranked or not."""

from __future__ import annotations

from bench.verdicts.comparisons import NOISE_FLOOR
from reports.formats import Absent, Columns, Value
from reports.words.comparisons import NOT_RANKED, RankedPair

COMPARISONS: Columns = {
    "lane": ("string", "which both cells share"),
    "set": ("string", "as_shipped, compiled, ...: what was asked"),
    "scenario": ("string", "what was timed"),
    "a": ("string", "a cell's id"),
    "b": ("string", "the id of the cell that it is held against"),
    "a_name": ("string", "its short name"),
    "b_name": ("string", "its short name"),
    "verdict": ("string", "of a: faster, slower, equivalent, inconclusive or not ranked"),
    "n": ("int64", "pairs of rounds"),
    "speedup": ("float64", "how many times a is faster, whatever the scenario counts"),
    "speedup_low": ("float64", "95 %"),
    "speedup_high": ("float64", "95 %"),
    "ratio": ("float64", "value of a over that of b, of times or of rates"),
    "ratio_low": ("float64", "95 %"),
    "ratio_high": ("float64", "95 %"),
    "p": ("float64", "of no difference"),
    "p_holm": ("float64", "the same, for all comparisons together"),
    "p_equivalence": ("float64", "of a difference above 2 %"),
    "reason": ("string", "what is doubtful, or why there is no verdict"),
}


def comparison_row(pair: RankedPair) -> dict[str, Value]:
    """Return a comparison with the reasons of what is absent; figures of what is not ranked are."""
    found, muted = pair.found, pair.verdict == NOT_RANKED
    no = Absent(pair.reason or NOT_RANKED, quiet=True)
    unasked = Absent("the noise floor asks another question", quiet=True)
    no_p = unasked if found.set == NOISE_FLOOR and not muted else no
    hidden = muted or pair.speedup is None or found.ratio is None or found.interval is None

    def ends(value: float | None, interval: tuple[float, float] | None) -> tuple[Value, Value, Value]:
        return (no, no, no) if hidden or value is None or interval is None else (value, *interval)

    speedups = ends(pair.speedup and pair.speedup[0], pair.speedup and pair.speedup[1:])
    ratios = ends(found.ratio, found.interval)
    return {
        "lane": found.lane,
        "set": found.set,
        "scenario": found.scenario,
        "a": found.a,
        "b": found.b,
        **dict(zip(("a_name", "b_name"), pair.names, strict=True)),
        "verdict": pair.verdict,
        "n": found.n,
        **dict(zip(("speedup", "speedup_low", "speedup_high"), speedups, strict=True)),
        **dict(zip(("ratio", "ratio_low", "ratio_high"), ratios, strict=True)),
        "p": no if hidden or found.p is None else found.p,
        "p_holm": no_p if muted or found.p_holm is None else found.p_holm,
        "p_equivalence": no if muted or found.p_equivalence is None else found.p_equivalence,
        "reason": pair.reason or Absent("nothing is doubtful", shown="", quiet=True),
    }
