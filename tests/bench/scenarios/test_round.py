"""What the child measures with: batches, the clock's loop, the null runner, whole batches."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contract import RunnerSpec
from bench.doubts import doubt
from bench.scenarios import accuracy, null_runner, watch
from bench.scenarios import round as round_
from bench.scenarios.base import Phases, RoundJob
from bench.statistics.validity import Validity


class Numbered:
    """Stands for inference.Inputs: the i-th image is filled with i."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, start: int, stop: int) -> np.ndarray:
        numbers = np.arange(start, stop, dtype=np.uint8)[:, None, None, None]
        return np.broadcast_to(numbers, (stop - start, 2, 2, 3)).copy()


@given(st.integers(1, 20), st.integers(1, 8), st.integers(1, 6))
def test_batches_are_whole_and_start_again_when_inputs_run_out(inputs: int, batch: int, count: int):
    job = RoundJob(
        RunnerSpec({}, "", "eager", "fp32", "cpu", 1, batch), {}, {}, Phases(lambda name, fields: None)
    )
    job.__dict__["inputs"] = Numbered(inputs)
    batches = job.images(count)
    assert [len(b) for b in batches] == [batch] * count
    assert all(b.flags.c_contiguous for b in batches)
    numbers = np.concatenate(batches)[:, 0, 0, 0]
    np.testing.assert_array_equal(numbers, np.arange(batch * count) % min(inputs, batch * count))


def test_repeating_lasts_for_both_the_time_and_the_queries():
    calls: list[int] = []
    durations = round_.repeat(calls.append, 0.0, 7)
    assert calls == list(range(7))
    assert (len(durations), durations.dtype) == (7, np.int64)
    durations = round_.repeat(lambda _: time.sleep(0.005), 0.05, 1)
    assert durations.sum() >= 40_000_000
    assert durations.min() >= 5_000_000


def test_a_last_batch_is_filled_up_and_cut_back():
    seen: list[int] = []

    def infer(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images.astype(np.float32)

    images = Numbered(3).batch(0, 3)
    found = accuracy.in_batches(infer, 8)(images)
    assert seen == [8]
    np.testing.assert_array_equal(found, images)


def test_the_null_runner_returns_heatmaps_of_the_recipes_size():
    model = {"backbone": "resnet18", "input_size": [64, 96]}
    recipe: dict[str, Any] = {"name": "x", "model": model, "training": {"epochs": 1, "batch_size": 1}}
    runner = null_runner.NullRunner(RunnerSpec(recipe, "", "eager", "fp32", "cpu", 1, 4))
    assert runner.infer(np.zeros((3, 96, 64, 3), np.uint8)).shape == (3, 17, 24, 16)


@pytest.mark.parametrize(
    ("asked", "told", "processors", "faults"),
    [
        (2, 2, 2, []),
        (1, 1, 8, []),
        (2, None, 2, []),
        (0, 0, 1, []),
        (2, 1, 2, ["the runtime says 1 threads, where the lane has 2"]),
        (1, 2, 2, ["the runtime says 2 threads, where the lane has 1"]),
        (2, 2, 1, ["2 threads shared 1 processor"]),
        (4, None, 3, ["4 threads shared 3 processors"]),
    ],
)
def test_a_round_lacks_threads_that_the_runtime_or_the_system_denied(
    asked: int, told: int | None, processors: int, faults: list[str]
):
    assert [one.text for one in watch.missing_threads(asked, told, processors)] == faults


def test_a_doubt_flags_a_round_and_a_fault_makes_it_invalid():
    load, fault, wide = doubt("load", 3.0, 1.0), doubt("few processors", 2, "1 processor"), doubt("wild", 0.3)
    assert Validity.of() == Validity()
    assert Validity.of(load) == Validity("FLAGGED", [load.text], [load])
    assert Validity.of(load, fault) == Validity("INVALID", [fault.text, load.text], [fault, load])
    assert Validity.of(load, wide).verdict == "INVALID"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_peak_memory_is_the_childs_own_even_under_a_large_parent():
    code = "from bench.scenarios import round; print(round.peak_rss_bytes())"
    ballast = np.ones(2**26)
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ballast.nbytes == 2**29
    assert 2**24 < int(child.stdout) < 2**28
