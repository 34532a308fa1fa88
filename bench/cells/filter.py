"""The filter expression of `-k`: words of a cell's ID joined by and, or, not and parentheses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Generic, TypeVar

from bench.cells.cell import Cell
from pose.errors import UserError

T = TypeVar("T")

TOKEN = re.compile(r"\s*(?:(?P<word>[\w.=-]+)|(?P<mark>[()]))")
KEYWORDS = {"and", "or", "not"}


def select(cells: Sequence[Cell], expression: str | None) -> list[Cell]:
    """Return the cells that `expression` holds for, in their order; all of them for None.

    A word holds for a cell when it is one or several whole parts of its ID ("torch", "b1",
    "openvino-ir", the whole ID); "axis=value" looks at one axis ("runtime=torch"). Raises
    UserError for a malformed expression, for a word that no cell has, and when none is selected.
    """
    if expression is None:
        return list(cells)
    chosen = _Parser("cell", expression, cells, _in_cell, _hint).chosen()
    if not chosen:
        raise UserError(f"-k {expression!r} selects none of the {len(cells)} cells; --list shows them")
    return chosen


def select_names(names: Sequence[str], expression: str) -> list[str]:
    """Return the names that `expression` holds for, in their order; a word holds for a name that contains it.

    Raises UserError for a malformed expression, for a word that no name has, and when none is selected.
    """
    chosen = _Parser("benchmark", expression, names, lambda word, name: word in name, lambda *_: "").chosen()
    if not chosen:
        raise UserError(f"-k {expression!r} selects none of the {len(names)} benchmarks")
    return chosen


def _in_cell(word: str, cell: Cell) -> bool:
    axis, equals, value = word.partition("=")
    if equals:
        return str(asdict(cell).get(axis)) == value
    return f"-{word}-" in f"-{cell.id}-"


class _Parser(Generic[T]):
    """Recursive descent: any = all ("or" all)*; all = one ("and" one)*; one = "not" one | (any) | word.

    `holds(word, item)` says what a word means, `hint(word, items)` what to say of one that no item has.
    """

    def __init__(
        self,
        noun: str,
        expression: str,
        items: Sequence[T],
        holds: Callable[[str, T], bool],
        hint: Callable[[str, Sequence[T]], str],
    ) -> None:
        self.noun = noun
        self.expression = expression
        self.items = items
        self.holds = holds
        self.hint = hint
        self.tokens = _tokens(expression)

    def chosen(self) -> list[T]:
        test = self.parse()
        return [item for item in self.items if test(item)]

    def parse(self) -> Callable[[T], bool]:
        test = self._any()
        if self.tokens:
            raise self._error(f"'{self.tokens[0]}' is not expected there")
        return test

    def _any(self) -> Callable[[T], bool]:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return lambda item: any(test(item) for test in tests)

    def _all(self) -> Callable[[T], bool]:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Callable[[T], bool]:
        if self._take("not"):
            negated = self._one()
            return lambda item: not negated(item)
        if self._take("("):
            inner = self._any()
            if not self._take(")"):
                raise self._error("a ')' is missing")
            return inner
        if not self.tokens or self.tokens[0] in KEYWORDS | {")"}:
            raise self._error("a word is missing")
        return self._word(self.tokens.pop(0))

    def _take(self, token: str) -> bool:
        found = bool(self.tokens) and self.tokens[0] == token
        if found:
            self.tokens.pop(0)
        return found

    def _word(self, word: str) -> Callable[[T], bool]:
        def test(item: T) -> bool:
            return self.holds(word, item)

        if not any(map(test, self.items)):
            raise self._error(f"no {self.noun} has '{word}'{self.hint(word, self.items)}")
        return test

    def _error(self, problem: str) -> UserError:
        return UserError(
            f"-k {self.expression!r}: {problem}; expected words of IDs joined by and, or, not, "
            "for example -k 'torch and not accuracy'"
        )


def _tokens(expression: str) -> list[str]:
    tokens, position, text = [], 0, expression.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise UserError(
                f"-k {expression!r}: '{text[position:].strip()[0]}' has no meaning; expected words, ( and )"
            )
        tokens.append(match.group("word") or match.group("mark"))
        position = match.end()
    return tokens


def _hint(word: str, cells: Sequence[Cell]) -> str:
    known = sorted({part for cell in cells for part in cell.id.split("-")})
    if "=" in word:
        known = sorted({f"{axis}={value}" for cell in cells for axis, value in asdict(cell).items()})
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean '{near[0]}'?" if near else f" (there are: {', '.join(known)})"
