"""What the verb `parity` is given."""

from __future__ import annotations

import pytest

from bench.parity import ladder
from pose.errors import UserError
from twinpose.parity import parse_rungs


@pytest.mark.parametrize(
    ("text", "quick", "expected"),
    [(None, False, ladder.ALL), (None, True, ladder.QUICK), ("5, 2,2", False, (2, 5))],
)
def test_rungs_are_named_by_number(text: str | None, quick: bool, expected: tuple[int, ...]) -> None:
    assert parse_rungs(text, quick=quick) == expected


@pytest.mark.parametrize(("text", "quick"), [("9", False), ("two", False), ("", False), ("2", True)])
def test_what_is_no_rung_is_refused(text: str, quick: bool) -> None:
    with pytest.raises(UserError, match="--rungs"):
        parse_rungs(text, quick=quick)
