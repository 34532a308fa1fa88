"""Loaders of both twins against the plain decode+warp limit of the same machine in the same minute."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import pytest

from pose import coco, sample
from pose.recipe import Recipe

WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit(people: coco.Dataset, recipe: Recipe) -> float:
    """Return samples a second of decode and warp alone, on as many threads as the loader has workers."""
    with ThreadPoolExecutor(WORKERS) as pool:

        def crop(index: int) -> int:
            return len(sample.crop(people, index, recipe.model.input_size)[:1])

        return rate(lambda: list(pool.map(crop, range(len(people)))))


def rate(produce: Callable[[], list[int]]) -> float:
    """Return how many samples a second `produce` makes; it returns the size of each batch."""
    start = time.perf_counter()
    return sum(produce()) / (time.perf_counter() - start)


@pytest.mark.parametrize(("twin", "framework"), [("tf_impl", "tensorflow"), ("torch_impl", "torch")])
def test_a_loader_keeps_up_with_decode_and_warp(
    benchmark: Any, people: coco.Dataset, reference: Recipe, one_thread: None, twin: str, framework: str
) -> None:
    pytest.importorskip(framework)
    loader = importlib.import_module(f"{twin}.data").Loader(people, reference, WORKERS)
    # The first epoch starts the workers.
    assert sum(len(batch.images) for batch in loader.batches(1)) == len(people)
    cv2.setNumThreads(1)
    pairs: list[tuple[float, float]] = []

    def epoch() -> None:
        plain = limit(people, reference)
        pairs.append((rate(lambda: [len(batch.images) for batch in loader.batches(len(pairs) + 2)]), plain))

    benchmark.pedantic(epoch, rounds=3)
    ratios = sorted(made / plain for made, plain in pairs)
    best = max(made for made, _ in pairs)
    benchmark.extra_info.update({"samples_per_s": best, "ratio_to_decode_and_warp": ratios[1]})
    print(f"\n{twin}: {best:.0f} samples/s, {ratios[1]:.2f} of decode and warp, {WORKERS} workers")
    # Far below what is usual: half a core's work lost would show.
    assert ratios[-1] > 0.25
