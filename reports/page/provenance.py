"""Where a page's tables and figures came from, said once for all that one command made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.answers.answer import listed
from reports.plots.plot import Plot
from reports.tables.table import Table

Item = Table | Plot


@dataclass(frozen=True)
class MadeBy:
    """What one command made."""

    command: str
    """"" for what was copied by hand."""
    parts: tuple[tuple[str, str], ...]
    """Tables and figures by their numbers, and the files of the run that they came from."""


def anchor(item: Item) -> str:
    """Return the ID on the page: table-comparisons, figure-latency."""
    return f"{_kind(item).lower()}-{item.name}"


def _kind(item: Item) -> str:
    return "Table" if isinstance(item, Table) else "Figure"


def numbers(items: Iterable[Item]) -> dict[str, int]:
    """Return the numbers of tables and of figures by their IDs, each counted once, in the page's order."""
    found: dict[str, int] = {}
    for item in items:
        before = sum(name.startswith(_kind(item).lower()) for name in found)
        found.setdefault(anchor(item), before + 1)
    return found


def made_by(items: Sequence[Item], numbered: Mapping[str, int]) -> list[MadeBy]:
    """Return by command what it made of which files, in the order in which they stand."""
    by_command: defaultdict[str, defaultdict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        by_command[item.command][item.source].append(item)
    return [
        MadeBy(command, tuple((_labels(of, numbered), source) for source, of in sources.items()))
        for command, sources in by_command.items()
    ]


def _labels(items: Sequence[Item], numbered: Mapping[str, int]) -> str:
    """Return items in words: Tables 2 and 3, Figure 4."""
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    for item in items:
        by_kind[_kind(item)].append(str(numbered[anchor(item)]))
    return ", ".join(f"{kind}{'s' if of[1:] else ''} {listed(of)}" for kind, of in by_kind.items())
