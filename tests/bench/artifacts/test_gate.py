"""The conversion gate: what it lets through, and what it says of the rest."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gate_fakes
import msgspec
import numpy as np
import pytest

from bench.artifacts import gate
from bench.contract import RunnerSpec
from bench.parity.rungs import deployment
from bench.process.worker import explain
from bench.run.conversion import GateRecord
from bench.statistics import rounding


def look(name: str, folder: Path, batches: tuple[int, ...] = (1, 4)) -> dict[str, Any]:
    """Return what the gate sees of a fake at some batches."""
    images = np.random.default_rng(0).integers(0, 256, (3, *gate_fakes.SHAPE), np.uint8)
    np.savez(folder / "probe.npz", images=images, heatmaps=gate_fakes.heatmaps(images))
    specs = [RunnerSpec({}, "model", "ir", "fp32", "cpu", 1, batch) for batch in batches]
    payload = {
        "runner": f"gate_fakes:{name}",
        "specs": [asdict(one) for one in specs],
        "probe": folder / "probe.npz",
    }
    return gate.look(payload, lambda event, fields: None)


def refused(name: str, folder: Path, precision: str = "fp32") -> str | None:
    return gate.refused({"precision": precision, "bound": gate.bound(precision), **look(name, folder)})


def test_what_computes_as_its_source_passes_on_one_image_and_on_every_batch(tmp_path: Path):
    seen = look("Right", tmp_path)
    assert [(one["batch"], one["images"]) for one in seen["checks"]] == [(1, 1), (4, 1), (4, 4)]
    assert all(one["error"] == one["max_abs_difference"] == 0 for one in seen["checks"])
    assert refused("Right", tmp_path) is None
    words = seen["refused"]
    assert words["float32 for uint8"] == (
        "images are float32 of 4x6x4x3; expected uint8 of 4x6x4x3, of which the last batch may hold fewer"
    )
    assert "uint8 of 4x5x4x3; expected uint8 of 4x6x4x3" in words["images of another height"]
    assert "uint8 of 5x6x4x3; expected uint8 of 4x6x4x3" in words["more images than its batch"]
    record = {"runtime": "openvino", "precision": "fp32", "bound": gate.bound("fp32"), **seen}
    assert json.loads(msgspec.json.encode(msgspec.convert(record, GateRecord))) == record


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Rounded",
            r"fails on 1 at batch 1: its heatmaps are 0\.0005 x rms\(source\) off, bound 2e-05 \(2 x 1",
        ),
        ("WithoutWeights", "its heatmaps are not all numbers; expected those of its source"),
        ("OnlyTheFirst", "fails on 4 at batch 4: its heatmaps have another shape than its source's"),
        ("WrongInItsBatch", "fails on 4 at batch 4: its heatmaps are"),
        ("TakesAnything", "takes float32 for uint8; expected a UserError"),
    ],
)
def test_what_does_not_is_refused_with_where_and_why(tmp_path: Path, name: str, words: str):
    reason = refused(name, tmp_path)
    assert reason is not None
    assert re.search(words, reason), reason


def test_a_lower_precision_may_round_and_may_not_be_nothing_of_its_source(tmp_path: Path):
    assert refused("Rounded", tmp_path, "int8") is None
    assert "bound 1 (1: heatmaps of nothing but zeros are as near)" in str(
        refused("Backwards", tmp_path, "int8")
    )
    assert "not all numbers" in str(refused("WithoutWeights", tmp_path, "int8"))


def test_a_refusal_in_a_runtime_s_own_words_is_none(tmp_path: Path):
    with pytest.raises(TypeError, match=r"refused float32 of 1x6x4x3 in no words of its own") as raised:
        look("RefusesInItsOwnWords", tmp_path, (1,))
    assert "\n" not in explain(raised.value)[1]


def test_float32_is_judged_by_rung_7_s_own_rule():
    size = 0.3
    reference = np.full((2, 17, 3, 2), size)
    off = deployment.Found(rmse=0.0, where="", shift_px=0.0, shift_where="")
    worst = deployment.Found(rmse=rounding.CEILING * size, where="", shift_px=0.0, shift_where="")
    loosest = deployment._rounding("", off, worst, reference).bound
    assert loosest == pytest.approx(gate.bound("fp32") * size)
