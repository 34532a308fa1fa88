"""A comparison of two sides as a table that fits a terminal: the worst first, then what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.compare.changed_verdicts import Turned
from bench.compare.records import ComparedCell, ComparedRuns
from bench.compare.rows import known
from bench.console import aligned

UNITS_OF_S = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (0.0, "ns"))
ONE_PROCESS = (
    "Figures are medians of stretches of the rounds of one process: "
    "what differs between processes is not in the intervals."
)
ONE_SEED = "Intervals of AP are over images: what another seed of the training would change is not in them."
IN_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def text(found: ComparedRuns, across_machines: bool = False) -> str:
    """Return what a terminal shows."""
    rows = found.rows
    parts = [
        [f"A  {found.a}", f"B  {found.b}", *([ONE_PROCESS] if found.kind == "benchmarks" else [])],
        _differing(f"machines differ{' (allowed)' if across_machines else ''}:", found.machine),
        _differing("environments differ:", found.environment),
        _differing("measured by other rules:", found.protocol),
        _differing("trained or scored otherwise:", found.recipe),
        _timed([row for row in rows if row.kind != "accuracy" and row.a is not None]),
        _accuracies([row for row in rows if row.kind == "accuracy" and row.a is not None]),
        _listed("not comparable:", _why([row for row in rows if row.a is None], "not comparable")),
        _listed("not measured in B:", _why(rows, "not measured")),
        _listed("nothing to compare with in A:", _why(rows, "nothing in A")),
        _listed("only in B:", found.only_in_b),
        _listed("reversed:", [_turned(one) for one in found.turned if one.reversed]),
        _listed("changed:", [_turned(one) for one in found.turned if not one.reversed]),
        [_summary(found)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _differing(title: str, facts: Sequence[dict[str, Any]]) -> list[str]:
    return _listed(title, [f"{one['what']}: {known(one['a'])} -> {known(one['b'])}" for one in facts])


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)] if lines else []


def _timed(rows: Sequence[ComparedCell]) -> list[str]:
    if not rows:
        return []
    head = ("", "A", "B", "B / A", "95 %", "B is", "p (Holm)", "p (rank)", "rounds", "")
    return aligned([head, *map(_timed_cells, rows)], left=(0, -1))


def _timed_cells(row: ComparedCell) -> tuple[str, ...]:
    interval = f"{row.interval[0]:.3f} .. {row.interval[1]:.3f}" if row.interval else "-"
    verdict = "slower, REGRESSED" if row.status == "regressed" else row.verdict or row.status
    ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
    return (
        row.id, _amount(row.a, row.unit), _amount(row.b, row.unit), ratio, interval,
        verdict, _p(row.p_holm), _p(row.p_rank), f"{row.n_a}, {row.n_b}", row.reason or "",
    )  # fmt: skip


def _amount(value: float | None, unit: str) -> str:
    """Return a figure with its unit, a time in the unit that leaves it 1 or more."""
    if value is None:
        return "-"
    if unit not in IN_S:
        return f"{value:.4g} {unit}"
    seconds = value * IN_S[unit]
    name = next(name for least, name in UNITS_OF_S if seconds >= least)
    return f"{seconds / IN_S[name]:.4g} {name}"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _accuracies(rows: Sequence[ComparedCell]) -> list[str]:
    if not rows:
        return []
    head = ("AP", "A", "B", "B - A", "95 %", "B is", "p (Holm)", "")
    table = aligned([head, *map(_accuracy_cells, rows)], left=(0, -1))
    return [*table, ONE_SEED] if any(row.difference_interval for row in rows) else table


def _accuracy_cells(row: ComparedCell) -> tuple[str, ...]:
    moved = "-" if row.difference is None else f"{row.difference:+.4f}"
    ends = row.difference_interval
    interval = f"{ends[0]:+.4f} .. {ends[1]:+.4f}" if ends else "-"
    verdict = "lower, REGRESSED" if row.status == "regressed" else row.verdict or row.status
    return row.id, f"{row.a:.3f}", f"{row.b:.3f}", moved, interval, verdict, _p(row.p_holm), row.reason or ""


def _why(rows: Sequence[ComparedCell], status: str) -> list[str]:
    return [f"{row.id}  {row.reason}" for row in rows if row.status == status]


def _turned(one: Turned) -> str:
    return f"{one.cell} against {one.against} ({one.set}): {known(one.a)} -> {known(one.b)}"


def _summary(found: ComparedRuns) -> str:
    counts = found.counts()
    regressed = counts.pop("regressed")
    lost = f" beyond {found.fail_over:.3g}" if found.fail_over else ""
    parts = [f"{regressed} regressed{lost}", *(f"{count} {name}" for name, count in sorted(counts.items()))]
    if found.turned:
        back = sum(one.reversed for one in found.turned)
        parts.append(f"verdicts: {back} reversed, {len(found.turned) - back} changed")
    return ", ".join(parts)
