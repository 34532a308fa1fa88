"""A table as a value, and how it is written: CSV keeps full precision, Markdown is for a README."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from reports.formats import Absent, Noted, Show, Value, text


@dataclass(frozen=True)
class Column:
    """One column; `key` heads it in CSV, `title` where people read it."""

    key: str
    title: str
    show: Show = text
    kind: str = "text"
    """`text`, `number`, `code` or `status`: how HTML sets it."""
    only_csv: bool = False
    only_page: bool = False
    """Shown to people in place of a column that programs read."""


def csv_only(*keys: str) -> tuple[Column, ...]:
    """Return columns that people do not see: programs know them by their keys."""
    return tuple(Column(key, key, only_csv=True) for key in keys)


@dataclass(frozen=True)
class Row:
    """One row; rows of the same group stand together under its name."""

    values: tuple[Value, ...]
    group: str = ""
    muted: bool = False
    """Not part of a comparison: the cell failed, or its measurement is invalid."""


@dataclass(frozen=True)
class Table:
    """A table with everything its caption must say."""

    name: str
    """Of its files: tables/NAME.csv and tables/NAME.md."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str
    """One or two sentences on how to read it."""
    command: str
    """What makes the figures in it; "" where nothing of ours does."""
    source: str
    """The files of the run that it came from."""
    grouped_by: str = ""
    """What the rows' groups are; "" when there are none."""
    baseline: bool = False
    """Its rows hold A against B, so that a reader may pick whom the others are held against."""

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Return the footnotes, each once, in the order of the rows."""
        found = (
            reason
            for row in self.rows
            for value, column in zip(row.values, self.columns, strict=True)
            if not column.only_csv
            for reason in _footnotes(value)
        )
        return tuple(dict.fromkeys(found))

    @cached_property
    def _letters(self) -> dict[str, str]:
        return {reason: letter(place) for place, reason in enumerate(self.reasons)}

    def marks(self, value: Value) -> list[str]:
        """Return the letters that lead from a value to its footnotes."""
        return [self._letters[reason] for reason in _footnotes(value)]


def _footnotes(value: Value) -> tuple[str, ...]:
    if isinstance(value, Noted):
        return (value.reason,) if isinstance(value.reason, str) else value.reason
    return (value.reason,) if isinstance(value, Absent) and not value.quiet else ()


def letter(index: int) -> str:
    """Return a, b, ... z, aa, ab ... for 0, 1, ..."""
    return (letter(index // 26 - 1) if index >= 26 else "") + "abcdefghijklmnopqrstuvwxyz"[index % 26]


def shown(column: Column, value: Value) -> str:
    """Return a value as people read it."""
    if isinstance(value, Absent):
        return value.shown
    return column.show(value.value if isinstance(value, Noted) else value)


def exact(value: Value) -> str | int | float:
    """Return a value as a program reads it: "" where it is absent, text on one line."""
    if isinstance(value, Absent):
        return ""
    plain = value.value if isinstance(value, Noted) else value
    return " ".join(plain.split()) if isinstance(plain, str) else plain


def to_csv(table: Table) -> str:
    """Return the table as CSV (RFC 4180, LF): numbers in full precision, an absent one empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kept = [(place, column.key) for place, column in enumerate(table.columns) if not column.only_page]
    writer.writerow([key for _, key in kept])
    for row in table.rows:
        writer.writerow([exact(row.values[place]) for place, _ in kept])
    return out.getvalue()


def to_markdown(table: Table) -> str:
    """Return the table as Markdown, with its caption and the reasons of what is absent."""
    columns = [(i, column) for i, column in enumerate(table.columns) if not column.only_csv]
    lane = [escape(table.grouped_by)] if table.grouped_by else []
    lines = [_line([*lane, *(column.title for _, column in columns)])]
    rules = ["---:" if column.kind == "number" else "---" for _, column in columns]
    lines.append(_line(["---" for _ in lane] + rules))
    for row in table.rows:
        values = [_markdown_value(table, column, row.values[i]) for i, column in columns]
        lines.append(_line([*(escape(row.group) for _ in lane), *values]))
    notes = [f"- {letter(i)}: {escape(reason)}" for i, reason in enumerate(table.reasons)]
    by = f"made by `{table.command}`" if table.command else "copied by hand"
    made = f"{escape(table.note)} Source: {escape(table.source)}; {by}."
    parts = [f"**{escape(table.title)}**", "\n".join(lines), *(["\n".join(notes)] if notes else []), made]
    return "\n\n".join(parts) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_value(table: Table, column: Column, value: Value) -> str:
    said, marks = escape(shown(column, value)), ",".join(table.marks(value))
    if column.kind == "code" and not isinstance(value, Absent):
        said = f"`{said}`"
    return f"{said}<sup>{marks}</sup>" if marks else said


def escape(value: str) -> str:
    """Return text that neither ends a cell nor starts HTML."""
    plain = " ".join(value.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")


def to_latex(table: Table) -> str:
    """Return the table as a LaTeX tabular for a paper; its rules need the package booktabs."""
    columns = [(place, column) for place, column in enumerate(table.columns) if not column.only_csv]
    right = "".join("r" if column.kind == "number" else "l" for _, column in columns)
    lines = [
        rf"\begin{{tabular}}{{{right}}}",
        r"\toprule",
        _latex_line(c.title for _, c in columns),
        r"\midrule",
    ]
    group = ""
    for row in table.rows:
        if row.group != group:
            group = row.group
            lines.append(rf"\multicolumn{{{len(columns)}}}{{l}}{{\textbf{{{_latex(group)}}}}} \\")
        lines.append(_latex_line(shown(column, row.values[place]) for place, column in columns))
    lines += [r"\bottomrule", r"\end{tabular}"]
    head = (table.title, table.note, f"Source: {table.source}; made by {table.command or 'hand'}")
    return "\n".join([*(f"% {' '.join(said.split())}" for said in head), *lines]) + "\n"


def _latex_line(values: Iterable[str]) -> str:
    return " & ".join(map(_latex, values)) + r" \\"


LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"×": r"$\times$", "−": "$-$", "—": "---", "±": r"$\pm$", "µ": r"$\mu$", "<": "$<$", ">": "$>$"}
)
"""What LaTeX takes for a command, or has not in every font."""


def _latex(value: str) -> str:
    return " ".join(value.split()).translate(LATEX)
