"""The answers as people get them: with links on the page, as summary.md, as a command's closing lines."""

from __future__ import annotations

from collections.abc import Collection

from reports.answers import Answer, answers
from reports.page import header
from reports.run.missing import command
from reports.run.read import Run
from reports.tables.table import escape

FAILURES = "failures"
"""The page's section on what failed."""


def evidence(one: Answer, tables: Collection[str], plots: Collection[str]) -> tuple[str, str]:
    """Return where on the page an answer's evidence is, and what the link says: what failed where none is."""
    for name in one.evidence.names:
        if name != FAILURES and name in (*plots, *tables):
            return f"figure-{name}" if name in plots else f"table-{name}", one.evidence.label
    return FAILURES, "what is missing"


def to_markdown(run: Run) -> str:
    """Return summary.md: the answers as a table, short enough for a pull request's comment."""
    rows = (f"| {one.question} | {_said(one)} |" for one in answers(run))
    when = header.started(run) or "start not recorded"
    parts = (
        f"**{escape(run.name)}**: {escape(header.subject(run))}",
        "\n".join(("| question | answer |", "|---|---|", *rows)),
        f"TwinPose {escape(header.version(run))}, {escape(when)}. All of it: `{command(run, 'report')}`",
    )
    return "\n\n".join(parts) + "\n"


def _said(one: Answer) -> str:
    decides = f"To decide: {escape(one.decides)}" if one.decides else "To decide:" if one.command else ""
    typed = f"`{one.command}`" if one.command else ""
    return " ".join(filter(None, (f"**{escape(one.word)}**{one.stop}", escape(one.figures), decides, typed)))


def to_text(run: Run) -> str:
    """Return the answers for a terminal, a line each, after their questions in a column."""
    found = answers(run)
    wide = max(len(one.question) for one in found)
    return "\n".join(f"{one.question:{wide}}  {one.text}" for one in found)
