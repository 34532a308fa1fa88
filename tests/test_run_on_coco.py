"""The whole way on a few real COCO images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import succeeds

MATRIX = Path(__file__).parent / "matrices" / "accuracy.yaml"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.frameworks("tensorflow", "torch", "openvino", "onnxruntime")
def test_real_coco_goes_the_whole_way(coco_mini: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeeds(
        *("run", "--recipe", "smoke", "--coco", coco_mini, "--out", out),
        *("--set", "training.epochs=1", "--set", f"matrix={MATRIX}", "--uncertified"),
    )
    assert (out / "report" / "report.html").exists()
    assert json.loads((out / "run.json").read_text())["dataset"] == "coco-mini"
