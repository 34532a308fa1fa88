"""A comparison of two sides, as text for a terminal or as Markdown: the worst first, then what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.compare.changed_verdicts import Turned
from bench.compare.floors import CheckedFloor, missed
from bench.compare.records import ComparedCell, ComparedRuns
from bench.compare.rows import known
from bench.console import aligned
from bench.verdicts.noise_floor import difference

UNITS_OF_S = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (0.0, "ns"))
ONE_PROCESS = (
    "Figures are medians of stretches of the rounds of one process: "
    "what differs between processes is not in the intervals."
)
ONE_SEED = "Intervals of AP are over images: what another seed of the training would change is not in them."
IN_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Paragraph:
    """A part of what is said: a title over lines, or a table (its head first) over a remark."""

    title: str = ""
    lines: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()


def text(found: ComparedRuns, across_machines: bool = False) -> str:
    """Return what a terminal shows."""
    return "\n\n".join(
        map(_in_terminal, [*_paragraphs(found, across_machines), Paragraph(lines=[_summary(found)])])
    )


def markdown(found: ComparedRuns, across_machines: bool = False) -> str:
    """Return the same as Markdown, its summary first: for a job's page or a pull request."""
    paragraphs = map(_in_markdown, _paragraphs(found, across_machines))
    return "\n\n".join([f"### {_summary(found)}", *paragraphs])


def of_floors(name: str, floors: Sequence[CheckedFloor], in_markdown: bool = False) -> str:
    """Return what is said of one run's floors."""
    summary, lines = _floors_summary(floors), [_floor(one) for one in missed(floors)]
    if in_markdown:
        return "\n\n".join([f"### {summary}", name, *([_bullets(lines)] if lines else [])])
    return "\n".join([name, *lines, summary])


def _paragraphs(found: ComparedRuns, across_machines: bool) -> list[Paragraph]:
    rows = found.rows
    machines = f"machines differ{' (allowed)' if across_machines else ''}:"
    paragraphs = [
        Paragraph(
            lines=[
                f"A  {found.a}",
                f"B  {found.b}",
                *([ONE_PROCESS] if found.kind == "benchmarks" else []),
                *_sight(found),
            ]
        ),
        Paragraph(machines, _differing(found.machine)),
        Paragraph("environments differ:", _differing(found.environment)),
        Paragraph("measured by other rules:", _differing(found.protocol)),
        Paragraph("trained or scored otherwise:", _differing(found.recipe)),
        _timed([row for row in rows if row.kind != "accuracy" and row.a is not None]),
        _accuracies([row for row in rows if row.kind == "accuracy" and row.a is not None]),
        Paragraph("not comparable:", _why([row for row in rows if row.a is None], "not comparable")),
        Paragraph("not measured in B:", _why(rows, "not measured")),
        Paragraph("nothing to compare with in A:", _why(rows, "nothing in A")),
        Paragraph("only in B:", found.only_in_b),
        Paragraph("reversed:", [_turned(one) for one in found.turned if one.reversed]),
        Paragraph("changed:", [_turned(one) for one in found.turned if not one.reversed]),
        Paragraph("floors missed:", [_floor(one) for one in missed(found.floors)]),
    ]
    return [one for one in paragraphs if one.lines or one.table]


def _sight(found: ComparedRuns) -> list[str]:
    """Return what each side's bench can see, where its A/A pair told."""
    seen = {side.upper(): share for side, share in found.resolution.items() if share is not None}
    said = ", ".join(f"{side} below {difference(share)}" for side, share in seen.items())
    return [f"Sees nothing: {said}."] if said else []


def _in_terminal(one: Paragraph) -> str:
    if one.table:
        return "\n".join([*aligned(one.table, left=(0, -1)), *one.lines])
    if one.title:
        return "\n".join([one.title, *(f"  {line}" for line in one.lines)])
    return "\n".join(one.lines)


def _in_markdown(one: Paragraph) -> str:
    if one.table:
        head, *rows = one.table
        reasons = [*dict.fromkeys(row[-1] for row in rows if row[-1])]
        numbers = {reason: str(number) for number, reason in enumerate(reasons, 1)}
        # Reasons are long: the table points at them.
        pointed = [[*map(_escaped, row[:-1]), numbers.get(row[-1], "")] for row in rows]
        rule = ["---", *["---:"] * (len(head) - 2), "---"]
        table = "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *pointed))
        said = "\n".join(f"{number}. {_escaped(reason)}" for reason, number in numbers.items())
        return "\n\n".join(filter(None, [table, said, *one.lines]))
    return "\n\n".join(filter(None, [one.title and f"**{one.title}**", _bullets(one.lines)]))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_escaped(line)}" for line in lines)


def _escaped(line: str) -> str:
    """Return a line that Markdown shows as it is: a bar would end a table's cell, a < begin a tag."""
    return line.replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*")


def _differing(facts: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{one['what']}: {known(one['a'])} -> {known(one['b'])}" for one in facts]


def _timed(rows: Sequence[ComparedCell]) -> Paragraph:
    head = ("", "A", "B", "B / A", "95 %", "B is", "p (Holm)", "p (rank)", "rounds", "")
    return Paragraph(table=[head, *map(_timed_cells, rows)] if rows else ())


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


def _accuracies(rows: Sequence[ComparedCell]) -> Paragraph:
    head = ("AP", "A", "B", "B - A", "95 %", "B is", "p (Holm)", "")
    remark = [ONE_SEED] if any(row.difference_interval for row in rows) else []
    return Paragraph(lines=remark, table=[head, *map(_accuracy_cells, rows)] if rows else ())


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


def _floor(one: CheckedFloor) -> str:
    said = "no figure" if one.value is None else f"{one.value:.4g} {one.unit}"
    because = f" ({one.reason})" if one.reason else ""
    return f"{one.id}  {said}, {one.option} {one.limit:g}{because}"


def _floors_summary(floors: Sequence[CheckedFloor]) -> str:
    below = len(missed(floors))
    unproven = sum(one.uncertified is not None for one in floors)
    said = f", {unproven} of uncertified cells" if unproven else ""
    return f"floors: {len(floors) - below} met, {below} missed{said}"


def _summary(found: ComparedRuns) -> str:
    counts = found.counts()
    regressed = counts.pop("regressed")
    lost = f" beyond {found.fail_over:.3g}" if found.fail_over else ""
    parts = [f"{regressed} regressed{lost}", *(f"{count} {name}" for name, count in sorted(counts.items()))]
    if found.turned:
        back = sum(one.reversed for one in found.turned)
        parts.append(f"verdicts: {back} reversed, {len(found.turned) - back} changed")
    if found.floors:
        parts.append(_floors_summary(found.floors))
    return ", ".join(parts)
