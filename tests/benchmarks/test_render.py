"""One image of the built-in dataset, rendered and encoded as its JPEG, on one core."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from pose.synthetic import render
from pose.synthetic.dataset import _write_jpeg


def test_rendering_an_image(benchmark: Any, one_thread: None, tmp_path: Path) -> None:
    # Images differ in cost, so that each run takes the next one.
    ids = itertools.count(1)

    def produce() -> int:
        image, people = render(0, next(ids))
        _write_jpeg(tmp_path / "image.jpg", image)
        return len(people)

    assert 1 <= benchmark.pedantic(produce, rounds=150, warmup_rounds=5) <= 4
    mean_s = benchmark.stats.stats.mean
    benchmark.extra_info["images_per_s_per_core"] = 1 / mean_s
    print(f"\n{1 / mean_s:.0f} images/s on one core, 320x240 with JPEG")
