"""What LoadGen's traffic is made of: the library, batches, answers, logs and options; without LoadGen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import mlperf
from bench.mlperf import logs, options, traffic
from pose.errors import UserError


@given(st.integers(1, 12), st.lists(st.integers(-3, 15), min_size=1, max_size=9))
def test_the_library_lends_what_is_loaded_and_nothing_else(size: int, indices: list[int]):
    pool = np.arange(size, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    library = traffic.Library(pool)
    with pytest.raises(IndexError, match="is not loaded"):
        library.batch(indices)
    library.load(indices)
    inside = [i for i in indices if 0 <= i < size]
    if inside:
        np.testing.assert_array_equal(library.batch(inside), pool[inside])
    if len(inside) < len(indices):
        with pytest.raises(IndexError, match=f"the library holds {size}"):
            library.batch(indices)
    library.unload(indices)
    assert library.loaded == {}


@given(st.lists(st.integers(0, 99), min_size=1, max_size=40), st.integers(1, 9))
def test_batches_are_whole_and_hold_every_index_in_order(indices: list[int], batch: int):
    batches = traffic.whole_batches(indices, batch)
    assert {len(b) for b in batches} == {batch}
    flat = [i for b in batches for i in b]
    assert flat[: len(indices)] == indices
    assert len(flat) - len(indices) < batch
    assert set(flat) == set(indices)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 7), st.integers(0, 40))
def test_every_query_is_answered_once_and_in_order_even_after_an_error(
    indices: list[int], chunk: int, fails_at: int
):
    seen: list[int] = []
    answered: list[int] = []

    def infer(part: list[int]) -> None:
        seen.extend(part)
        if len(seen) > fails_at:
            raise RuntimeError("broken")

    server = traffic.Server(infer, answered.extend, chunk)
    server.answer(list(enumerate(indices)))
    assert answered == list(range(len(indices)))
    assert server.answered == len(indices)
    assert (server.error is None) == (len(indices) <= fails_at)
    assert seen == indices[: len(seen)]


KEYS = st.text("abc_", min_size=1, max_size=5)
JUNK = st.sampled_from(
    ["", "plain words", ":::MLLOG {", ':::MLLOG {"key": "a"', ":::MLLOG [1]", ":::MLLOG 7"]
)


@given(st.lists(st.tuples(KEYS, st.integers() | st.text() | st.booleans(), st.booleans(), JUNK)))
def test_a_detail_log_is_read_whatever_stands_between_its_records(tmp_path_factory: Any, records: Any):
    lines = []
    for key, value, is_error, junk in records:
        record = {"key": key, "value": value, "metadata": {"is_error": is_error, "is_warning": False}}
        lines += [f":::MLLOG {json.dumps(record)}", junk]
    path = tmp_path_factory.getbasetemp() / "detail.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    values, complaints = logs.read(path)
    assert values == {key: value for key, value, _, _ in records}
    assert complaints == [str(value) for _, value, is_error, _ in records if is_error]


def test_a_log_without_a_result_is_no_result(tmp_path: Path):
    (tmp_path / logs.DETAIL).write_text(':::MLLOG {"key": "loadgen_version", "value": "6"}\n')
    with pytest.raises(logs.LogError, match="wrote no result"):
        logs.result(tmp_path, "Server")


@given(st.sampled_from(sorted(options.MLPERF)), st.data())
def test_a_deviation_is_named_exactly_where_less_is_asked_for(scenario: str, data: st.DataObject):
    least = options.MLPERF[scenario]
    settings = {name: data.draw(st.integers(1, 2 * value)) for name, value in least.items()}
    found = options.deviations(scenario, settings)
    assert [text.split()[0] for text in found] == [n for n in least if settings[n] < least[n]]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("min_duration=3", "did you mean 'min_duration_s'?"),
        ("min_duration_s=long", "min_duration_s: "),
        ("utilisation=1", "utilisation: "),
        ("seed", "is not KEY=VALUE"),
        ("seed=[", "has no readable value"),
    ],
)
def test_a_wrong_option_is_one_line(word: str, said: str):
    with pytest.raises(UserError, match="--mlperf") as caught:
        mlperf.parse([word])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_are_read_as_the_command_of_a_row_writes_them():
    asked = mlperf.Options(min_duration_s=600, target_qps=20, trace=True, offline_samples=24576)
    words = [f"{name}={value}" for name, value in asked.model_dump(exclude_defaults=True).items()]
    assert mlperf.parse(words) == asked
    assert mlperf.parse([]) == mlperf.Options()
