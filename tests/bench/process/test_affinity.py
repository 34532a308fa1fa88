"""Parent and child on cores of their own, where there are cores to spare."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benching import TESTS

from bench.process import launch
from bench.process.affinity import Cores

LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system knows no affinity")
FOUR = Cores(tuple(frozenset({n, n + 4}) for n in range(4)))


@LINUX
def test_a_child_leaves_the_parents_core_free_while_cores_are_left():
    assert FOUR.spared == {3, 7}
    assert FOUR.for_child(1) == FOUR.for_child(3) == (0, 1, 2, 4, 5, 6)


@LINUX
@pytest.mark.parametrize("threads", [4, 5])
def test_a_child_that_needs_every_core_is_told_all_and_does_not_inherit_the_parents(threads: int):
    assert FOUR.for_child(threads) == (0, 1, 2, 3, 4, 5, 6, 7)


def test_on_one_core_everybody_shares_it():
    alone = Cores((frozenset({0, 1}),))
    assert alone.spared is None
    with alone.parent_aside():
        pass


@LINUX
def test_on_one_core_a_child_is_told_that_core():
    assert Cores((frozenset({0, 1}),)).for_child(1) == (0, 1)


@LINUX
def test_the_parent_is_put_back_where_it_was():
    cores = Cores.mine()
    before = os.sched_getaffinity(0)
    with cores.parent_aside():
        assert os.sched_getaffinity(0) == (cores.spared or before)
    assert os.sched_getaffinity(0) == before


@LINUX
@pytest.mark.parametrize("threads", [1, 2, 64])
def test_a_child_runs_where_it_is_told_and_not_where_its_parent_sits(tmp_path: Path, threads: int):
    cores = Cores.mine()
    if cores.spared is None:
        pytest.skip("one core: there is none to spare")
    wanted = cores.for_child(threads)
    with cores.parent_aside():
        outcome = launch.call("children:affinity", {}, tmp_path, env={"PYTHONPATH": TESTS}, cpus=wanted)
    assert outcome.value == {"cpus": list(wanted or ())}
    if threads >= len(cores.groups):
        assert set(wanted or ()) == os.sched_getaffinity(0)
