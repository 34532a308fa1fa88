"""Loaders of both twins against the plain decode+warp limit of the same machine in the same minute."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from pose import augment, coco, geometry
from pose.recipe import Recipe

WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_and_warp(people: coco.Dataset, index: int, recipe: Recipe, epoch: int) -> int:
    """Decode and warp as a sample does, turned and scaled, without colours, targets or batches."""
    drawn = augment.draw(recipe.training.augmentation, 0, epoch, int(people.ann_ids[index]))
    center, scale = geometry.center_scale(people.boxes[index], recipe.model.input_size)
    scale = scale * np.float32(drawn.scale_factor)
    affine = geometry.affine(center, scale, drawn.rotation_deg, recipe.model.input_size)
    geometry.warp(people.read(index), affine, recipe.model.input_size)
    return 1


def limit(people: coco.Dataset, recipe: Recipe, epoch: int) -> float:
    """Return samples a second of decode and warp alone, on as many threads as the loader has workers."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return rate(
            lambda: list(pool.map(lambda i: decode_and_warp(people, i, recipe, epoch), range(len(people))))
        )


def rate(produce: Callable[[], list[int]]) -> float:
    """Return how many samples a second `produce` makes; it returns the size of each batch."""
    start = time.perf_counter()
    return sum(produce()) / (time.perf_counter() - start)


@pytest.mark.parametrize(("twin", "framework"), [("tf_impl", "tensorflow"), ("torch_impl", "torch")])
def test_a_loader_against_decode_and_warp(
    benchmark: Any, people: coco.Dataset, reference: Recipe, one_thread: None, twin: str, framework: str
) -> None:
    pytest.importorskip(framework)
    loader = importlib.import_module(f"{twin}.data").Loader(people, reference, WORKERS)
    # The first epoch starts the workers.
    assert sum(len(batch.images) for batch in loader.batches(1)) == len(people)
    cv2.setNumThreads(1)
    pairs: list[tuple[float, float]] = []

    def epoch() -> None:
        number = len(pairs) + 2
        plain = limit(people, reference, number)
        pairs.append((rate(lambda: [len(batch.images) for batch in loader.batches(number)]), plain))

    benchmark.pedantic(epoch, rounds=3)
    ratios = sorted(made / plain for made, plain in pairs)
    best = max(made for made, _ in pairs)
    benchmark.extra_info.update({"samples_per_s": best, "ratio_to_decode_and_warp": ratios[1]})
    print(f"\n{twin}: {best:.0f} samples/s, {ratios[1]:.2f} of decode and warp, {WORKERS} workers")
    assert len(pairs) == 3
