"""Tasks side by side, and the folders of their children."""

from __future__ import annotations

import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.cells.matrix import Place
from bench.parity.rungs import base
from bench.parity.rungs.base import Context
from bench.statistics import rounding


def test_tasks_give_their_answers_in_order_two_at_a_time(context: Context) -> None:
    both = threading.Barrier(2, timeout=30)
    running, most = [0], [0]

    def task(number: int, *, meets: bool) -> int:
        running[0] += 1
        most[0] = max(most[0], running[0])
        if meets:
            both.wait()
        running[0] -= 1
        return number

    tasks = [lambda n=n: task(n, meets=n < 2) for n in range(5)]
    assert context.together(*tasks) == list(range(5))
    assert most == [base.AT_ONCE]


def test_the_first_task_that_fails_is_raised_and_none_is_begun_after_it(context: Context) -> None:
    begun = []

    def failing() -> None:
        raise ValueError("no such kernel")

    def slow(number: int) -> None:
        begun.append(number)
        time.sleep(0.2)

    with pytest.raises(ValueError, match="no such kernel"):
        context.together(failing, *(lambda n=n: slow(n) for n in range(20)))
    assert len(begun) < 20


def test_an_interrupt_ends_the_children_that_would_be_waited_for(context: Context) -> None:
    started = threading.Event()

    def child() -> int:
        with psutil.Popen(["sleep", "600"]) as process:
            started.set()
            return process.wait()

    def interrupted() -> None:
        started.wait(30)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        context.together(interrupted, child)


def test_children_that_start_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: base._numbered(tmp_path / "children", "infer.tf"), range(40)))
    assert {path.name for path in made} == {f"infer.tf.{n}" for n in range(1, 41)}


def test_a_tensor_that_one_twin_lacks_or_shapes_otherwise_is_infinitely_far_and_named() -> None:
    torch = {"a": np.ones(2), "b": np.ones((2, 3)), "c": np.ones(1)}
    tf = {"a": np.ones(2), "b": np.ones((1, 3)), "d": np.array(1.0)}
    assert base.distances(tf, torch) == {
        "a": 0,
        "b (tf: 1x3, torch: 2x3)": math.inf,
        "c (missing in tf)": math.inf,
        "d (missing in torch)": math.inf,
    }


def test_numpy_does_not_repeat_a_smaller_tensor_until_it_fits() -> None:
    assert base.distance(np.ones((1, 3)), np.ones((2, 3))) == math.inf
    assert rounding.rmse(np.ones((1, 3)), np.ones((2, 3))) == math.inf


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_child_runs_in_the_place_of_its_runtime_and_sees_a_gpu_only_where_one_is_asked_for(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nTOLD_BY=wrapper exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    place = Place(python=str(python), env={"OF_THE_PLACE": "yes"}, folder=str(tmp_path))
    placed = replace(context, folder=tmp_path / "work", places={"torch": place})
    found = placed.call("torch", "scenario_children:surroundings", {}, device=device)
    assert (found["TOLD_BY"], found["OF_THE_PLACE"], found["folder"]) == ("wrapper", "yes", str(tmp_path))
    assert found["CUDA_VISIBLE_DEVICES"] == ("" if device == "cpu" else "0")
    elsewhere = placed.call("tf", "scenario_children:surroundings", {}, device=device)
    assert (elsewhere["TOLD_BY"], elsewhere["OF_THE_PLACE"]) == (None, None)
