"""What a scenario changes of the tests' own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest


@pytest.fixture
def opencv_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give OpenCV its threads back, and let children's runners be imported here."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)
