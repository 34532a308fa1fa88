"""parity.md: the certificate as a page for people, each number with its bound and the bound's reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.parity.rungs import deployment


def markdown(found: Mapping[str, Any]) -> str:
    """Return the certificate as a page for people."""
    lines = [
        f"# Parity of {found['recipe']}: {found['status']}",
        "",
        f"Certificate `{found['id'][:16]}`, made by `{found['command']}` on {found['started']} "
        f"in {found['wall_s']:.0f} s. docs/method/parity.md explains each rung.",
        "",
    ]
    if found["first_failure"]:
        first = found["first_failure"]
        at = f" at `{first['where']}`" if first["where"] else ""
        lines += [f"First failure: rung {first['rung']} ({first['name']}), {first['check']}{at}.", ""]
    for rung in found["rungs"]:
        lines += [f"## {rung['number']}. {rung['name']}: {rung['status']}", ""]
        if rung["reason"]:
            lines += [rung["reason"], ""]
        if rung.get("kept"):
            lines += [f"Kept from `{rung['command']}` on {rung['started']}.", ""]
        if rung["checks"]:
            marks = _Marks()
            lines += ["| check | measured | bound | | where |", "|---|---|---|---|---|"]
            lines += [_row(check, marks) for check in rung["checks"]] + ["", *marks.lines(), ""]
    if found["runtimes"]:
        marks = _Marks()
        lines += [
            "## Runtimes",
            "",
            "The rung Deployment gives the reason for each bound. dAP is AP less that of the weights' own "
            "framework, with its 95% interval over images, on ground-truth boxes of the validation part.",
            "",
            "| weights of | through | runtime | mode | precision | | rmse to fp64 | bound | AP | dAP |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *(_runtime_row(arm, marks) for arm in found["runtimes"]),
            "",
            *marks.lines(),
            "",
        ]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return "\n".join([*lines, f"Versions: {versions}.", ""])


class _Marks:
    """The footnotes of one table: the same text has one number, wherever it is referred to."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, shown: str, text: str | None) -> str:
        """Return what a cell shows, with the number of its footnote where `text` is one."""
        if not text:
            return shown
        return f"{shown}<sup>{self.numbers.setdefault(text, len(self.numbers) + 1)}</sup>"

    def lines(self) -> list[str]:
        """Return the footnotes, a line each."""
        return [f"- {number}: {_cell(text)}" for text, number in self.numbers.items()]


def _row(check: Mapping[str, Any], marks: _Marks) -> str:
    verdict = {True: "pass", False: "**fail**", None: "reported"}[check["passed"]]
    measured = _number(check["measured"])
    if check["measured"] is None and check["passed"] is False:
        measured = "no number"
    bound = "none" if check["bound"] is None else _number(check["bound"])
    cells = (
        marks.mark(_cell(check["name"]), check["note"]),
        measured,
        marks.mark(bound, check["reason"]),
        verdict,
        _cell(check["where"] or ""),
    )
    return "| " + " | ".join(cells) + " |"


def _runtime_row(arm: Mapping[str, Any], marks: _Marks) -> str:
    axes = (arm["twin"], arm.get("through") or "", arm["runtime"], arm["mode"], arm["precision"])
    status = marks.mark(arm["status"], arm.get("reason"))
    ap = "" if arm.get("ap") is None else f"{arm['ap']:.3f}"
    cells = (*axes, status, _number(arm["rmse"]), _number(arm["bound"]), ap, _dap(arm))
    return "| " + " | ".join(cells) + " |"


def _dap(arm: Mapping[str, Any]) -> str:
    """Return an arm's AP less its source's, with its interval; words where AP says nothing."""
    if arm.get("dap") is None:
        return ""
    if deployment.says_nothing(arm["ap"], arm["dap"]):
        return f"AP says nothing: the source's is below {deployment.LEAST_AP}"
    has_interval = arm.get("dap_low") is not None
    interval = f" [{arm['dap_low']:+.3f}, {arm['dap_high']:+.3f}]" if has_interval else ""
    return f"{arm['dap']:+.4f}{interval}"


def _cell(text: str) -> str:
    """Return text that neither ends a cell of a table nor starts HTML."""
    plain_text = " ".join(text.split())
    return plain_text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
