"""What `bench` says while it measures, and what its options make of a matrix."""

from __future__ import annotations

import msgspec
import pytest
from benching import one

from bench.cells import matrix
from bench.rounds.plan import BESIDE, LACKS, OPEN
from bench.run import cell_key
from bench.stages import measurement


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ({LACKS: 1}, "1 cell: 1 lacks rounds"),
        ({LACKS: 2, BESIDE: 1}, "3 cells: 2 lack rounds, 1 goes along"),
        ({LACKS: 1, BESIDE: 2}, "3 cells: 1 lacks rounds, 2 go along"),
        ({OPEN: 6}, "6 cells: 6 of open pairs"),
    ],
)
def test_a_pass_says_in_grammar_how_many_cells_it_has_and_why(why: dict[str, int], said: str) -> None:
    told = {"lane": "a lane", "number": 2, "cells": sum(why.values()), "why": why}
    assert measurement._pass_text(told) == f"a lane  pass 2, {said}"


@pytest.mark.parametrize(
    ("which", "quiet", "said"),
    [
        (1, True, "quiet after 2.1 s"),
        (2, True, "measured again, quiet after 2.1 s"),
        (3, False, "measured again, no quiet in 2.1 s"),
    ],
)
def test_a_wait_for_quiet_is_told(which: int, quiet: bool, said: str) -> None:
    told = {"id": "a-cell", "try": which, "why": ["other work took 49%"], "waited_s": 2.14, "quiet": quiet}
    assert measurement._waited_text(told) == f"a-cell  other work took 49%: {said}"


def test_how_often_a_disturbed_round_is_tried_is_no_reason_to_measure_a_cell_anew() -> None:
    chosen = one(protocol={"tries": 3})
    once = matrix.with_tries(chosen, 1)
    assert (chosen.protocol.tries, once.protocol.tries) == (3, 1)
    [first], [second] = (
        {cell_key.cell_hash(cell, each, None, {}) for cell in each.cells} for each in (chosen, once)
    )
    assert first == second
    assert once.protocol.altered["tries"] == 3
    assert matrix.with_profile(once, "official").protocol.tries == 5
    assert msgspec.json.encode(once.to_dict())
