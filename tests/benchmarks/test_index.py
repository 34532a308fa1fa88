"""Indexing an annotation file of the size of the real train2017, in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import annotations
import pytest

from pose import coco

ROOT = Path(__file__).resolve().parents[2]
MEMORY_LIMIT_BYTES = 1_500_000_000

PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from pose import coco
start = time.perf_counter()
dataset = coco.load(Path(sys.argv[1]), "train2017")
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "images": len(dataset.images),
    "used": len(dataset),
}))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a COCO folder with annotations of the size of the real train2017, and no images."""
    root = tmp_path_factory.mktemp("coco")
    path = coco.annotation_path(root, "train2017")
    path.parent.mkdir()
    annotations.write(path)
    return root


@pytest.mark.timeout(900)
def test_the_real_train2017_is_indexed_in_seconds_and_under_1500_megabytes(benchmark, large):
    pytest.importorskip("resource", reason="peak memory is read with POSIX's getrusage")
    figures: list[dict[str, float]] = []

    def index() -> None:
        command = [sys.executable, "-c", PROGRAM, str(large)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        figures.append(json.loads(done.stdout))

    benchmark.pedantic(index, rounds=2)
    size = coco.annotation_path(large, "train2017").stat().st_size
    benchmark.extra_info.update(figures[-1] | {"file_bytes": size})
    seconds, peak = min(f["seconds"] for f in figures), max(f["peak_bytes"] for f in figures)
    print(f"\n{size / 1e6:.0f} MB indexed in {seconds:.1f} s, peak memory {peak / 1e6:.0f} MB")
    assert (figures[-1]["images"], figures[-1]["used"]) == (annotations.IMAGES, annotations.USED)
    assert peak < MEMORY_LIMIT_BYTES
