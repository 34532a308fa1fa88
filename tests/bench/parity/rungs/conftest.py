"""What the tests of the rungs climb on: a tiny recipe over a small rendered dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import twins

from bench.parity.rungs.base import Context
from pose import splits

TESTS = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Return a context whose children find tests/plants.py; every augmentation is on."""
    folder = tmp_path_factory.mktemp("ladder")
    coco = twins.dataset(folder / "coco")
    extras = {
        "colour_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
        "occlusion": {"p": 0.5},
    }
    resolved = twins.tiny(augmentation=extras)
    splits.save(splits.make(resolved.split, coco), folder / "split.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield Context(
            resolved, folder / "work", coco, folder / "split.json", folder / "init.safetensors", threads=1
        )
