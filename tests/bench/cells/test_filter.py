"""The filter expression, against Python's own reading of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells import filter as filter_
from bench.cells import matrix
from bench.cells.cell import Cell
from pose.errors import UserError

CELLS = matrix.load("demo", cores=2).cells
WORDS = ["torch", "tf", "openvino", "b1", "b8", "latency", "bf16", "cuda", "runtime=torch", "openvino-ir"]


def holds(word: str, cell: Cell) -> bool:
    if "=" in word:
        axis, value = word.split("=")
        return str(getattr(cell, axis)) == value
    return re.search(f"(^|-){word}(-|$)", cell.id) is not None


EXPRESSIONS = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.one_of(
        inner.map(lambda e: f"not {e}"),
        inner.map(lambda e: f"({e})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_an_expression_means_what_it_means_in_python(expression: str):
    python = re.sub(
        r"[\w=-]+", lambda m: m[0] if m[0] in {"and", "or", "not"} else f"h({m[0]!r})", expression
    )
    expected = [cell for cell in CELLS if eval(python, {"h": lambda word, c=cell: holds(word, c)})]
    if expected:
        assert filter_.select(CELLS, expression) == expected
    else:
        with pytest.raises(UserError, match=f"selects none of the {len(CELLS)} cells; --list shows them"):
            filter_.select(CELLS, expression)


def test_no_expression_selects_all():
    assert filter_.select(CELLS, None) == list(CELLS)


def test_an_id_selects_its_cell():
    for cell in CELLS:
        assert filter_.select(CELLS, cell.id) == [cell]


def test_part_of_a_word_is_no_word():
    with pytest.raises(UserError, match="no cell has 'openvin', did you mean 'openvino'"):
        filter_.select(CELLS, "openvin")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "a word is missing"),
        ("and", "a word is missing"),
        ("torch and", "a word is missing"),
        ("not", "a word is missing"),
        ("(torch", r"a '\)' is missing"),
        ("torch)", r"'\)' is not expected"),
        ("torch tf", "'tf' is not expected"),
        ("torch & tf", "'&' has no meaning"),
        ("__import__('os')", "no meaning|no cell has"),
        ("runtme=torch", "did you mean 'runtime=torch'"),
        ("xyzzy", "there are: .*accuracy"),
    ],
)
def test_a_malformed_expression_is_explained(expression: str, words: str):
    with pytest.raises(UserError, match=words):
        filter_.select(CELLS, expression)
